/** What agents are called, for people. Pure. */

const CAPITALS = new Set(['ai', 'api', 'ba', 'qa', 'sql', 'ui', 'ux']);

/**
 * A name for people, made of an agent's type: `Automation consultant`, `QA consultant`.
 * @param {string} agentType
 * @returns {string}
 */
export function nameOf(agentType) {
  const words = agentType.split('_').map((word) => (CAPITALS.has(word) ? word.toUpperCase() : word)).join(' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * What the server says of an agent's end, `qa_consultant failed: …`, with the name that the agent's card has.
 * @param {string} message
 * @param {Iterable<readonly [type: string, name: string]>} names
 * @returns {string}
 */
export function withNames(message, names) {
  return [...names].reduce((said, [type, name]) => said.replaceAll(`${type} failed`, `${name} failed`), message);
}
