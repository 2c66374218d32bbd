import { setMaxListeners } from 'node:events';

const controller = new AbortController();
setMaxListeners(0, controller.signal);

/** Aborted when this command is told to end. What waits or starts something then fails, and clears up after itself. */
export const interruption: AbortSignal = controller.signal;

/** Takes the first signal to end as a wish, so that there is time to clear up; a second one ends the process as usual. */
export function onInterruption(react: (name: NodeJS.Signals) => void = () => {}): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => {
      controller.abort(new Error(`interrupted by ${name}`));
      react(name);
    });
  }
}
