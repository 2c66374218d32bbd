import type { LocalSteps } from '../core/scheduler/scheduler.ts';

export interface CoordinatorConfig {
  nodeId: string;
  localSteps: LocalSteps;
  /** Runs that are worked on at once; more wait, durably. */
  runsActiveMax: number;
  /** Runs that may wait; above that `submit` answers OVERLOADED. */
  runsQueuedMax: number;
  /** Between two pings of a worker. */
  heartbeatMs: number;
  /** Silence after which a node gets nothing new, and after which its steps go to others. */
  suspectAfterMs: number;
  lostAfterMs: number;
  /** How long a node whose connection broke may take to come back. */
  reconnectGraceMs: number;
  /** The same after a restart of the coordinator, which the nodes notice one by one. */
  restartGraceMs: number;
  /** How long a node that keeps sending evidence which does not hold is kept out. */
  expelMs: number;
  /** How long a step may wait for a node that could ever run it. */
  unschedulableAfterMs: number;
  /** How long a cancelled step may take to answer. */
  cancelGraceMs: number;
  /** What a node may take beyond a step's own time-out before it counts as hung. */
  timeoutGraceMs: number;
  /** Connections that have not proved who they are. */
  handshakesMax: number;
  handshakeTimeoutMs: number;
  /** Large outputs are carried in results and bundles up to this total; beyond it they stand as digests. */
  resultBytesMax: number;
}

export const coordinatorDefaults: Omit<CoordinatorConfig, 'nodeId'> = {
  localSteps: 'auto',
  runsActiveMax: 256,
  runsQueuedMax: 100_000,
  heartbeatMs: 1_000,
  suspectAfterMs: 2_500,
  lostAfterMs: 6_000,
  reconnectGraceMs: 3_000,
  restartGraceMs: 6_000,
  expelMs: 60_000,
  unschedulableAfterMs: 30_000,
  cancelGraceMs: 5_000,
  timeoutGraceMs: 5_000,
  handshakesMax: 256,
  handshakeTimeoutMs: 10_000,
  resultBytesMax: 64 * 1024 * 1024,
};
