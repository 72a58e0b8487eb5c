/**
 * A name for people, made of an agent's type: `Automation consultant`.
 * @param {string} agentType
 * @returns {string}
 */
export function nameOf(agentType) {
  const words = agentType.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
