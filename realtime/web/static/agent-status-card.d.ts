/** Types of `agent-status-card.js`. */

/** `<agent-status-card agent-type status progress …>`: one agent, drawn from its attributes, whenever they change. */
export class AgentStatusCard extends HTMLElement {}

declare global {
  interface HTMLElementTagNameMap {
    'agent-status-card': AgentStatusCard;
  }
}
