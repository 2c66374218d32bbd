import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../bin/jsonflow.js', import.meta.url));

interface NodeProcess {
  child: ChildProcess;
  ended: Promise<number | null>;
  /** Resolves with all that was said once it holds the text for the given time. */
  says(text: string, times?: number): Promise<string>;
}

function startNode(folder: string, ...flags: string[]): NodeProcess {
  const child = spawn(process.execPath, [launcher, 'node', ...flags], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, JSONFLOW_JOIN_TOKEN: 'a token for this test' },
  });
  let said = '';
  let look = (): void => {};
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      said += text;
      look();
    });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return {
    child,
    ended,
    says: (text, times = 1) =>
      new Promise((resolve, reject) => {
        look = () => {
          if (said.split(text).length > times) resolve(said);
        };
        look();
        void ended.then((code) => reject(new Error(`ended with ${code} before it said "${text}": ${said}`)));
      }),
  };
}

it('a worker outlives its coordinator, joins the next one, and closes when told to', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'reconnect-'));
  const coordinator = (port: string) =>
    startNode(folder, '--role', 'coordinator', '--node-id', 'c', '--port', port, '--data-dir', 'c', '--json');
  const started: NodeProcess[] = [];
  try {
    const first = coordinator('0');
    started.push(first);
    const { url } = JSON.parse(await first.says('\n'));
    const worker = startNode(folder, '--connect', url, '--node-id', 'w', '--data-dir', 'w');
    started.push(worker);
    await worker.says('is ready');
    first.child.kill('SIGKILL');
    await first.ended;
    await worker.says('Trying on');
    const second = coordinator(new URL(url).port);
    started.push(second);
    await second.says('"ready":true');
    await worker.says('Connected to the coordinator');

    second.child.kill('SIGKILL');
    await second.ended;
    await worker.says('Trying on', 2);
    worker.child.kill('SIGTERM');
    assert.equal(await worker.ended, 0);
  } finally {
    for (const { child } of started) child.kill('SIGKILL');
    await Promise.all(started.map(({ ended }) => ended));
    await rm(folder, { recursive: true, force: true });
  }
});

it('a worker that is refused ends with an error', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'refused-'));
  const coordinator = startNode(folder, '--role', 'coordinator', '--port', '0', '--data-dir', 'c', '--json');
  try {
    const { url } = JSON.parse(await coordinator.says('\n'));
    const worker = startNode(folder, '--connect', url, '--token', 'another', '--data-dir', 'w');
    await assert.rejects(worker.says('is ready'), /ended with 5 .*a valid join token is required/s);
  } finally {
    coordinator.child.kill('SIGKILL');
    await coordinator.ended;
    await rm(folder, { recursive: true, force: true });
  }
});
