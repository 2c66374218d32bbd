import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Summary } from './run-seeds.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const outputBytesMax = 64 * 1024 * 1024;

/** Runs `sim/main.ts` in a process of its own. `summary` is undefined where it did not come to its end. */
export function simulate(args: readonly string[]): Promise<{ output: string; summary: Summary | undefined }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', main, '--json', ...args],
      { maxBuffer: outputBytesMax },
      (_error, stdout, stderr) => {
        const lines = stdout.trimEnd().split('\n');
        const last = lines.at(-1) ?? '';
        const summary = last.startsWith('{') ? (JSON.parse(last) as Summary) : undefined;
        if (summary !== undefined) lines.pop();
        resolve({ output: lines.join('\n') + stderr, summary });
      },
    );
  });
}
