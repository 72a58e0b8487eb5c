/** The elements in JSX, for React 19: `import type {} from 'runcast-client/react';` in any file of an application. */
import type { DetailedHTMLProps, HTMLAttributes } from 'react';
import type { AgentRun } from './agent-run.js';
import type { AgentStatusCard } from './agent-status-card.js';
import type { Ending, RunClient, RunState } from './run-client.js';

type Attributes<Element> = DetailedHTMLProps<HTMLAttributes<Element>, Element>;

interface AgentRunAttributes extends Attributes<AgentRun> {
  'run-id'?: string | null;
  url?: string;
  client?: RunClient | null;
  'onrun-state'?: (event: CustomEvent<RunState>) => void;
  'onrun-ended'?: (event: CustomEvent<Ending>) => void;
}

interface AgentStatusCardAttributes extends Attributes<AgentStatusCard> {
  'agent-type'?: string;
  name?: string;
  status?: 'queued' | 'running' | 'complete' | 'error';
  /** 0 to 100. */
  progress?: number | string;
  label?: string | null;
  message?: string | null;
  chip?: string | null;
  paused?: boolean;
  cancelled?: boolean;
  attempt?: number | string;
  cached?: boolean;
  reused?: boolean;
  tokens?: number | string;
}

declare module 'react' {
  namespace JSX {
    interface IntrinsicElements {
      'agent-run': AgentRunAttributes;
      'agent-status-card': AgentStatusCardAttributes;
    }
  }
}
