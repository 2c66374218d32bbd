/** What share of a step's time may be lost with its node: each state is kept, so that a step of hours must not leave thousands. */
const share = 0.05;

/**
 * How long after a step's last state the next one is kept, in ms.
 * @param leastMs where a state more often would cost more than it saves
 * @param passedMs since the attempt began
 */
export const stateIntervalMs = (leastMs: number, passedMs: number): number => Math.max(leastMs, share * passedMs);
