import type { StepFailure } from '../protocol/receipt.ts';
import type { DistributedResult } from '../protocol/result.ts';

/** Events of a coordinator, by name, with what listeners are called with. */
export interface EngineEvents {
  /** The workflow's name, and which run of it. */
  'workflow:started': [workflowId: string, run: { runId: string }];
  'workflow:completed': [result: DistributedResult];
  /** A run that failed or was cancelled. */
  'workflow:failed': [result: DistributedResult];
  'step:started': [step: { runId: string; stepId: string; nodeId: string; attempt: number; reason: string }];
  /** Latency in ms. */
  'step:completed': [step: { runId: string; stepId: string; nodeId: string; attempt: number; latency: number }];
  /** `final` is false where another attempt follows. */
  'step:failed': [
    step: {
      runId: string;
      stepId: string;
      nodeId: string;
      attempt: number;
      latency: number;
      error: StepFailure;
      final: boolean;
    },
  ];
  'node:joined': [node: { nodeId: string }];
  'node:suspected': [node: { nodeId: string; why: string }];
  'node:left': [node: { nodeId: string; why: string }];
  /** A node sent evidence that does not hold. */
  'node:misbehaved': [node: { nodeId: string; why: string }];
  /** The coordinator can't go on: its store failed, or another one has taken over. */
  fatal: [error: Error];
}

/** All names, for whoever passes the events on. The type makes a missing one fail to compile. */
export const engineEventNames = Object.keys({
  'workflow:started': 0,
  'workflow:completed': 0,
  'workflow:failed': 0,
  'step:started': 0,
  'step:completed': 0,
  'step:failed': 0,
  'node:joined': 0,
  'node:suspected': 0,
  'node:left': 0,
  'node:misbehaved': 0,
  fatal: 0,
} satisfies Record<keyof EngineEvents, 0>) as (keyof EngineEvents)[];

export type Emit = <Name extends keyof EngineEvents>(name: Name, ...args: EngineEvents[Name]) => void;
