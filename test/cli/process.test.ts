import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../../bin/jsonflow.js', import.meta.url));
const bash = (script: string, cwd: string, bin: string) =>
  new Promise<{ code: number; err: string }>((resolve) =>
    execFile(
      'bash',
      ['-euc', script],
      { cwd, env: { ...process.env, PATH: `${bin}:${process.env.PATH}` } },
      (error, _out, err) => resolve({ code: typeof error?.code === 'number' ? error.code : 0, err }),
    ),
  );

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jsonflow-process-'));
  const step = (id: string, params: object) => ({ id, type: 'mock_compute', params });
  const files: Record<string, object> = {
    'good.json': { workflow: 'good', steps: [step('a', { input: '$input.x' }), step('b', { input: '$a.result' })] },
    'failing.json': {
      workflow: 'failing',
      steps: [{ id: 'a', type: 'transform_map', params: { input: '$input.x', expression: 'item.missing + 1' } }],
    },
    'slow.json': { workflow: 'slow', steps: [step('a', { input: 1, delay_ms: 600_000 })] },
    'bad.json': { workflow: 'bad', steps: [{ id: 'a', type: 'mock_compte', params: {} }] },
  };
  for (const [name, value] of Object.entries(files)) await writeFile(join(folder, name), JSON.stringify(value));
});
after(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  code: number | null;
  out: string;
  err: string;
}

function start(argv: readonly string[]): {
  child: ChildProcess;
  ended: Promise<Ended>;
  lines: AsyncIterableIterator<string>;
} {
  const child = spawn(process.execPath, [launcher, ...argv], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = once(child, 'close').then(([code]): Ended => ({ code, out, err }));
  return { child, ended, lines };
}
const jsonflow = (...argv: string[]): Promise<Ended> => start(argv).ended;

/** Resolves when standard error has said so. */
const said = (child: ChildProcess, what: RegExp): Promise<void> =>
  new Promise((resolve) => {
    let text = '';
    child.stderr?.on('data', (chunk) => {
      text += chunk;
      if (what.test(text)) resolve();
    });
  });

async function ready(argv: readonly string[]) {
  const node = start([...argv, '--json']);
  const { value } = await node.lines.next();
  if (typeof value !== 'string') assert.fail((await node.ended).err);
  return { ...node, ready: JSON.parse(value) as { http_url: string; url: string; node_id: string; pid: number } };
}

async function stop({ child, ended }: { child: ChildProcess; ended: Promise<Ended> }): Promise<Ended> {
  child.kill('SIGTERM');
  return ended;
}

describe('an embedded run', () => {
  it('completes with 0 and a bundle that verifies', async () => {
    const run = await jsonflow(
      'run',
      'good.json',
      '-i',
      'x=[1,"two"]',
      '--bundle',
      'good.bundle.json',
      '--json',
      '--data-dir',
      'data',
    );
    assert.equal(run.code, 0, run.err);
    const result = JSON.parse(run.out);
    assert.equal(result.status, 'completed');
    assert.deepEqual(result.outputs.b.result, [1, 'two']);

    const loose = await jsonflow('verify', 'good.bundle.json');
    assert.equal(loose.code, 3, loose.err);
    assert.match(loose.err, /signers are not pinned/);
    const [fingerprint] = /[0-9a-f]{64}/.exec(loose.out) ?? [];
    assert.ok(fingerprint !== undefined);

    const bundle = await readFile(join(folder, 'good.bundle.json'), 'utf8');
    await writeFile(join(folder, 'trust.json'), JSON.stringify({ jsonflow_trust: 1, keys: JSON.parse(bundle).keys }));
    assert.equal((await jsonflow('verify', 'good.bundle.json', '--trust', 'trust.json')).code, 0);

    await writeFile(join(folder, 'strangers.json'), JSON.stringify({ jsonflow_trust: 1, keys: [] }));
    const stranger = await jsonflow('verify', 'good.bundle.json', '--trust', 'strangers.json');
    assert.equal(stranger.code, 4);
    assert.match(stranger.err, /NOT_TRUSTED/);

    const place = bundle.indexOf('two');
    await writeFile(join(folder, 'flipped.json'), `${bundle.slice(0, place)}tvo${bundle.slice(place + 3)}`);
    const flipped = await jsonflow('verify', 'flipped.json', '--trust', 'trust.json');
    assert.equal(flipped.code, 4);
    assert.match(flipped.err, /BAD_EVIDENCE/);

    const replayed = await jsonflow('replay', 'good.bundle.json', '--json');
    assert.equal(replayed.code, 0, replayed.err);
    assert.equal(JSON.parse(replayed.out).verified, true);
    assert.equal((await jsonflow('replay', 'flipped.json')).code, 4);
  });

  it('prints a line an event where there is no terminal, and a summary', async () => {
    const { code, out, err } = await jsonflow('run', 'good.json', '-i', 'x=1', '--data-dir', 'data');
    assert.equal(code, 0);
    assert.match(err, /step\.succeeded +a +coordinator/);
    assert.match(out, /^completed {2}good {2}run /);
    assert.match(out, /Merkle root {2}[0-9a-f]{64}\n/);
    assert.ok(!`${out}${err}`.includes('\x1b'));
  });

  it('fails with 1 and says which step and why', async () => {
    const { code, out } = await jsonflow('run', 'failing.json', '-i', 'x=[{}]', '--data-dir', 'data');
    assert.equal(code, 1);
    assert.match(out, /^failed/);
    assert.match(out, /Cause: step a: /);
  });

  it('refuses an invalid workflow with 2, every problem named', async () => {
    const { code, out, err } = await jsonflow('run', 'bad.json', '--data-dir', 'data');
    assert.equal(code, 2);
    assert.equal(out, '');
    assert.match(err, /^Error: /);
    assert.match(err, /1:\d+: .*mock_compte/);
    assert.ok(!err.includes('    at '), 'no stack');
  });

  it('does not start where the bundle could not be written', async () => {
    const { code, err } = await jsonflow('run', 'good.json', '--bundle', 'no/such/dir/b.json', '--data-dir', 'data');
    assert.equal(code, 2);
    assert.match(err, /can't be written/);
  });

  it('is cancelled by the first interrupt', async () => {
    const { child, ended } = start(['run', 'slow.json', '--data-dir', 'slow']);
    await said(child, /step\.assigned/);
    child.kill('SIGINT');
    const { code, out, err } = await ended;
    assert.equal(code, 1);
    assert.match(err, /Cancelling/);
    assert.match(out, /^cancelled/);
  });
});

describe('a reader', () => {
  it('that is slow gets all of the output', async () => {
    const steps = Array.from({ length: 20_000 }, (_, index) => ({
      id: `s${index}`,
      type: 'mock_compte',
      params_: 1,
    }));
    await writeFile(join(folder, 'many.json'), JSON.stringify({ workflow: 'many', steps }));
    const slowly = '"$0" "$1" validate many.json --json | (sleep 4; cat)';
    const child = spawn('bash', ['-c', `set -o pipefail; ${slowly}`, process.execPath, launcher], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    const [code] = await once(child, 'close');
    assert.equal(code, 2);
    assert.ok(out.length > 256 * 1024, 'more than the pipes hold');
    assert.equal(JSON.parse(out).valid, false);
  });

  it('that leaves early does not change how a command ends', async () => {
    await writeFile(join(folder, 'no-bundle.json'), '{}');
    for (const flags of [[], ['--json']]) {
      const { child, ended } = start(['verify', 'no-bundle.json', ...flags]);
      child.stdout?.destroy();
      child.stderr?.destroy();
      assert.equal((await ended).code, 4);
    }
    const { child, ended } = start(['--help']);
    child.stdout?.destroy();
    assert.equal((await ended).code, 0);
  });
});

describe('a coordinator and a worker', () => {
  it('run a workflow, and show it', async () => {
    const coordinator = await ready([
      'node',
      '--role',
      'coordinator',
      '--port',
      '0',
      '--local-steps',
      'never',
      '--token',
      'join',
      '--data-dir',
      'c',
    ]);
    const { http_url: url, url: wsUrl } = coordinator.ready;
    const refused = await start(['node', '--connect', wsUrl, '--token', 'wrong', '--data-dir', 'w0']).ended;
    assert.equal(refused.code, 5, refused.err);
    const worker = await ready([
      'node',
      '--role',
      'worker',
      '--node-id',
      'w-1',
      '--connect',
      wsUrl,
      '--token',
      'join',
      '--labels',
      'zone=eu',
      '--data-dir',
      'w',
    ]);

    const nodes = JSON.parse((await jsonflow('nodes', '--connect', url, '--json')).out).nodes;
    assert.deepEqual(nodes.find(({ id }: { id: string }) => id === 'w-1').labels, { zone: 'eu' });
    assert.match((await jsonflow('nodes', '--connect', url)).out, /w-1 +worker +connected/);

    const run = await jsonflow('run', 'good.json', '-i', 'x=7', '--connect', url, '--json', '--bundle', 'remote.json');
    assert.equal(run.code, 0, run.err);
    const { run_id: runId, execution_trace: trace } = JSON.parse(run.out);
    assert.deepEqual(trace.nodes, ['w-1']);

    const keys = await jsonflow('keys', '--connect', url);
    await writeFile(join(folder, 'keys.json'), keys.out);
    const verified = await jsonflow('verify', 'remote.json', '--trust', 'keys.json');
    assert.equal(verified.code, 0, verified.err);
    assert.match(verified.out, /Verified\./);

    assert.match((await jsonflow('runs', '--connect', url)).out, new RegExp(`${runId} +good +completed`));
    assert.match((await jsonflow('show', runId, '--connect', url)).out, /^completed {2}good/);
    const logs = await jsonflow('logs', '-f', runId, '--connect', url, '--json');
    const kinds = logs.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event.kind);
    assert.equal(kinds[0], 'run.started');
    assert.equal(kinds.at(-1), 'run.completed');
    const missing = await jsonflow('show', 'nope', '--connect', url);
    assert.equal(missing.code, 2);

    const slow = start(['run', 'slow.json', '--connect', url, '--json']);
    const slowId = await firstRun(url, 'running');
    const unread = start(['logs', '-f', slowId, '--connect', url]);
    unread.child.stdout?.destroy();
    assert.equal((await unread.ended).code, 0, 'nobody reads, so following ends');
    const soFar = await jsonflow('logs', slowId, '--connect', url);
    assert.match(soFar.out, /run\.started/);
    assert.equal((await jsonflow('cancel', slowId, '--connect', url, '--why', 'enough')).code, 0);
    const cancelled = await slow.ended;
    assert.equal(cancelled.code, 1);
    assert.equal(JSON.parse(cancelled.out).status, 'cancelled');

    const invalid = await jsonflow('run', 'bad.json', '--connect', url);
    assert.equal(invalid.code, 2);
    assert.match(invalid.err, /1:\d+: .*mock_compte/);
    for (const node of [worker, coordinator]) assert.equal((await stop(node)).code, 0);
    assert.equal((await jsonflow('nodes', '--connect', url)).code, 5);
  });

  it('read their settings from a file, which flags override', async () => {
    await writeFile(
      join(folder, 'node.json'),
      JSON.stringify({ nodeId: 'from-file', port: 1, dataDir: 'cfg', apiTokens: ['t'] }),
    );
    const node = await ready(['node', '--config', 'node.json', '--port', '0']);
    assert.equal(node.ready.node_id, 'from-file');
    assert.equal((await stop(node)).code, 0);
    await writeFile(join(folder, 'wrong.json'), JSON.stringify({ capabilities: { adaptrs: [] } }));
    const wrong = await jsonflow('node', '--config', 'wrong.json');
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /capabilities\.adaptrs.*\n.*Did you mean "adapters"/);
  });

  it('refuse to speak plain text beyond this machine', async () => {
    const { code, err } = await jsonflow('node', '--port', '0', '--host', '0.0.0.0', '--data-dir', 'plain');
    assert.equal(code, 2);
    assert.match(err, /--insecure/);
  });
});

async function firstRun(url: string, status: string): Promise<string> {
  for (;;) {
    const { runs } = JSON.parse((await jsonflow('runs', '--connect', url, '--status', status, '--json')).out);
    if (runs[0] !== undefined) return runs[0].run_id;
  }
}

describe('dev', () => {
  it('starts a cluster and ends with all of it, even when killed', async () => {
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const dev = start(['dev', '--workers', '2', '--port', '0', '--data-dir', `dev-${signal}`]);
      const { value } = await dev.lines.next();
      const url = /Ready: (\S+) with 2 workers/.exec(String(value))?.[1];
      if (url === undefined) assert.fail((await dev.ended).err);
      const { nodes } = JSON.parse((await jsonflow('nodes', '--connect', url, '--json')).out);
      assert.deepEqual(nodes.map(({ id }: { id: string }) => id).sort(), ['coordinator', 'worker-1', 'worker-2']);
      dev.child.kill(signal);
      const { code } = await dev.ended;
      if (signal === 'SIGINT') assert.equal(code, 0);
      // Bounded by the runner: the nodes notice that their parent is gone.
      for (;;) if ((await jsonflow('nodes', '--connect', url)).code === 5) break;
    }
  });
});

it('the commands of docs/cli.md work', async () => {
  const text = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  const blocks = [...text.matchAll(/<!-- run -->\n```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => String(block));
  assert.ok(blocks.length >= 3);
  const bin = await mkdtemp(join(tmpdir(), 'jsonflow-bin-'));
  await writeFile(join(bin, 'jsonflow'), `#!/bin/sh\nexec "${process.execPath}" "${launcher}" "$@"\n`, { mode: 0o755 });
  const work = join(bin, 'work');
  const { code, err } = await bash(`mkdir '${work}'; cd '${work}'\n${blocks.join('\n')}`, bin, bin);
  assert.equal(code, 0, err);
  await rm(bin, { recursive: true });
});
