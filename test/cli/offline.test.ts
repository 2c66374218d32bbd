import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { call } from './terminal.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jsonflow-cli-'));
});
after(() => rm(folder, { recursive: true }));

describe('validate', () => {
  const good = '{ "workflow": "w", "steps": [{ "id": "a", "type": "mock_compute", "params": { "input": 1 } }] }';
  const bad = `{
  "workflow": "w",
  "steps": [
    { "id": "a", "type": "mock_compte", "params": { "input": "$b.result" } },
    { "id": "a", "type": "mock_compute", "parms": {} }
  ]
}`;
  it('accepts a sound workflow', async () => {
    const { code, out } = await call(['validate', '-'], { input: good });
    assert.equal(code, 0);
    assert.equal(out, 'stdin is valid: w, 1 steps.\n');
  });
  it('names every problem with its place and what was meant', async () => {
    const file = join(folder, 'bad.json');
    await writeFile(file, bad);
    const { code, out, err } = await call(['validate', file]);
    assert.equal(code, 2);
    assert.equal(out, '');
    assert.ok(err.includes(`${file}:4:`), err);
    assert.ok(err.includes(`${file}:5:`), err);
    assert.match(err, /mock_compute/);
    assert.match(err, /params/);
    assert.match(err, /\d problems?\. Correct/);
  });
  it('shows what is dangerous, which leaves a workflow valid', async () => {
    const risky = JSON.stringify({
      workflow: 'w',
      steps: [
        {
          id: 'a',
          type: 'db_query',
          params: {
            connection: 'postgres://u:Canary77@db/shop',
            query: "SELECT * FROM t WHERE name = '${input.name}'",
          },
        },
        { id: 'b', type: 'mq_publish', params: { broker: 'vault://broker', queue: 'q', message: '${a.result}' } },
      ],
    });
    const { code, out, err } = await call(['validate', '-'], { input: risky });
    assert.equal(code, 0);
    assert.match(out, /valid/);
    const lines = err.trim().split('\n');
    assert.equal(lines.length, 2, err);
    assert.match(lines[0] ?? '', /^stdin:1:\d+: warning: the URL holds a secret.*vault:\/\/NAME/);
    assert.match(lines[1] ?? '', /^stdin:1:\d+: warning: .*SQL.*placeholder/);
    assert.doesNotMatch(err, /Canary77/);
    const { problems } = JSON.parse((await call(['validate', '-', '--json'], { input: risky })).out);
    assert.deepEqual(
      problems.map(({ code, severity, path }: Record<string, string>) => [code, severity, path]),
      [
        ['RISKY_PARAMS', 'warning', 'steps[0].params.connection'],
        ['RISKY_PARAMS', 'warning', 'steps[0].params.query'],
      ],
    );
  });
  it('prints JSON alone', async () => {
    const { code, out, err } = await call(['validate', '-', '--json'], { input: bad });
    assert.equal(code, 2);
    assert.equal(err, '');
    const { valid, problems } = JSON.parse(out);
    assert.equal(valid, false);
    assert.ok(problems.length >= 3);
    assert.equal((await call(['validate', '-', '--json'], { input: '{' })).code, 2);
  });
});

describe('verify', () => {
  for (const text of [
    '',
    'no json',
    '{}',
    '[]',
    'null',
    '{"jsonflow_bundle":1}',
    '{"jsonflow_bundle":1,"receipts":[{}]}',
  ])
    it(`exits with 4 for ${JSON.stringify(text)}`, async () => {
      const { code, err } = await call(['verify', '-'], { input: text });
      assert.equal(code, 4);
      assert.match(err, /Verification failed\./);
      const { code: same, out } = await call(['verify', '-', '--json'], { input: text });
      assert.equal(same, 4);
      assert.equal(JSON.parse(out).ok, false);
    });
});

describe('vault', () => {
  const run = (argv: string[], input?: string) =>
    call(['vault', ...argv, '--data-dir', join(folder, 'data')], input === undefined ? {} : { input });
  it('keeps, lists, gives and removes secrets, and shows a value only when asked for it', async () => {
    assert.equal((await run(['set', 'db/password'], 'hunter2\n')).out, 'vault://db/password#1\n');
    assert.equal((await run(['set', 'db/password'], 'hunter3')).out, 'vault://db/password#2\n');
    assert.equal((await run(['get', 'db/password'])).out, 'hunter3\n');
    assert.equal((await run(['get', 'vault://db/password#1'])).out, 'hunter2\n');
    const { out } = await run(['list']);
    assert.match(out, /db\/password +2 /);
    assert.ok(!out.includes('hunter'));
    for (const file of await readdir(join(folder, 'data', 'vault')))
      assert.ok(!(await readFile(join(folder, 'data', 'vault', file), 'utf8')).includes('hunter'));
    assert.equal((await run(['rm', 'db/password'])).code, 0);
    for (const argv of [
      ['get', 'db/password'],
      ['rm', 'db/password'],
    ]) {
      const { code, err } = await run(argv);
      assert.equal(code, 2);
      assert.match(err, /db\/password/);
    }
  });
  const refused: [argv: string[], input: string | undefined][] = [
    [['put', 'x'], ''],
    [['set'], ''],
    [['set', 'x'], undefined],
    [['list', 'x'], undefined],
    [['set', 'x#2'], 'v'],
    [['set', '../x y'], 'v'],
    [['set', 'x'], ''],
  ];
  for (const [argv, input] of refused)
    it(`refuses ${argv.join(' ')}`, async () => {
      const { code, err } = await run(argv, input);
      assert.equal(code, 2, err);
      assert.equal(err.trimEnd().split('\n').length, 2, err);
    });
});

describe('prune', () => {
  it('deletes what ended long ago, and nothing that is younger or asked for in passing', async () => {
    const dir = join(folder, 'prune');
    const at = ['--data-dir', dir];
    const rows = Array.from({ length: 60_000 }, (_, row) => row);
    const workflow = { workflow: 'w', steps: [{ id: 'a', type: 'mock_compute', params: { input: rows } }] };
    assert.equal((await call(['run', '-', ...at], { input: JSON.stringify(workflow) })).code, 0);
    const prune = async (...args: string[]) => call(['prune', ...at, ...args]);
    for (const args of [[], ['--older-than', '5'], ['--older-than', '-1d']]) {
      const { code, err } = await prune(...args);
      assert.equal(code, 2, err);
      assert.match(err, /such as --older-than 30d/);
    }
    assert.match((await prune('--older-than', '1d')).out, /^Deleted 0 runs that ended before 2\d{3}-.* 0 blobs/);
    assert.match(
      (await prune('--older-than', '0s', '--dry-run')).out,
      /^There are 1 runs .* [1-9]\d* blobs \(0\.\d MB\)/,
    );
    const { code, out } = await prune('--older-than', '0s', '--json');
    const { runs, bytes, dry_run } = JSON.parse(out);
    assert.deepEqual([code, runs, dry_run, bytes > 200_000], [0, 1, false, true], out);
    assert.equal(JSON.parse((await prune('--older-than', '0s', '--json')).out).blobs, 0);
    const none = await call(['prune', '--older-than', '1d', '--data-dir', join(folder, 'nowhere')]);
    assert.match(none.err, /no journal in .*nowhere/);
  });
});

describe('doctor', () => {
  it('looks at everything that a node needs', async () => {
    const { code, out } = await call(['doctor', '--json', '--data-dir', join(folder, 'doctor')]);
    assert.equal(code, 0, out);
    const { findings } = JSON.parse(out);
    assert.deepEqual(
      findings.map(({ check }: { check: string }) => check),
      ['node', 'pinned node', 'sqlite', 'data dir', 'disk sync', 'port', 'clock', 'adapters', 'devices'],
    );
    for (const { check, status } of findings) assert.notEqual(status, 'failed', check);
    assert.match((await call(['doctor', '--data-dir', join(folder, 'doctor')])).out, /✔ node /);
  });
});
