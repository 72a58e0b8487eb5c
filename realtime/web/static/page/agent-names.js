/** The names that agents have for people. Pure. */
export class AgentNames {
  #names;

  /** @param {{agent_type: string, name: string}[]} agents */
  constructor(agents) {
    this.#names = new Map(agents.map(({ agent_type: type, name }) => [type, name]));
  }

  /** @param {string} agentType @returns {string} */
  of(agentType) {
    return this.#names.get(agentType) ?? agentType;
  }

  /**
   * What the server says of an agent's end, `qa_consultant failed: …`, with the name that the agent's card has.
   * @param {string} message
   * @returns {string}
   */
  within(message) {
    return [...this.#names].reduce((said, [type, name]) => said.replaceAll(`${type} failed`, `${name} failed`), message);
  }
}
