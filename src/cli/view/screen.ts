import type { StreamEvent } from '../../compose/offline.ts';
import type { Terminal } from '../terminal.ts';
import { eventLine } from './event-line.ts';
import { frame } from './frame.ts';
import { emptyRunView, observe } from './run-view.ts';

/** Shows a run while it goes on. */
export interface Display {
  show(item: StreamEvent): void;
  /** Draws the last state and gives the terminal back. */
  end(): void;
}

/** At most 15 frames a second; the same timer moves the clocks of running steps. */
const FRAME_MS = 70;

/** A line per event. */
export const plainDisplay = (terminal: Terminal): Display => ({
  show(item) {
    // Progress would fill a log; the live view and `logs` show it.
    if (item.event.kind !== 'step.progress') terminal.err(`${eventLine(item)}\n`);
  },
  end() {},
});

export const silentDisplay: Display = { show() {}, end() {} };

/**
 * A frame that is redrawn in place. Each is one write: cursor up, then every line with the rest of the old one erased, so that
 * nothing flickers. Times run by the local monotonic clock from the coordinator's last word, so that a skewed clock shows no nonsense.
 */
export function liveDisplay(terminal: Terminal, runId: string): Display {
  const view = emptyRunView(runId);
  let drawn = 0;
  let heardAt = performance.now();
  let dirty = true;
  const draw = (): void => {
    const now = view.lastAt + (view.status === 'running' ? performance.now() - heardAt : 0);
    const lines = frame(view, terminal.size(), view.startedAt === undefined ? 0 : now - view.startedAt, now);
    const up = drawn > 0 ? `\x1b[${drawn}A` : '\x1b[?25l';
    terminal.err(`${up}\r${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`);
    drawn = lines.length;
    dirty = false;
  };
  let ticks = 0;
  const timer = setInterval(() => {
    ticks += 1;
    if (dirty || ticks % 7 === 0) draw();
  }, FRAME_MS);
  const forget = terminal.onResize(() => {
    dirty = true;
  });
  return {
    show(item) {
      observe(view, item);
      heardAt = performance.now();
      dirty = true;
    },
    end() {
      clearInterval(timer);
      forget();
      draw();
      terminal.err('\x1b[?25h');
    },
  };
}
