/** The names that agents have for people. Pure. */
import { withNames } from '../elements/agent-name.js';

export class AgentNames {
  #names;

  /** @param {readonly {agent_type: string, name: string}[]} agents */
  constructor(agents) {
    this.#names = new Map(agents.map(({ agent_type: type, name }) => [type, name]));
  }

  /** @param {string} agentType @returns {string} */
  of(agentType) {
    return this.#names.get(agentType) ?? agentType;
  }

  /**
   * As `withNames`, with those.
   * @param {string} message
   * @returns {string}
   */
  within(message) {
    return withNames(message, this.#names);
  }
}
