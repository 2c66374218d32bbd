import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { decodeReceipt } from '../../src/core/receipt/statement.ts';
import { verifyBundle } from '../../src/core/receipt/verify.ts';
import { Client } from './client.ts';
import { NodeProcess } from './processes.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jsonflow-pause-'));
});
after(() => rm(folder, { recursive: true, force: true }));

it('a worker that is stopped loses its step, and what it brings when it goes on does not count', async () => {
  const ledger = join(folder, 'ledger.txt');
  const [first, second] = [join(folder, 'first'), join(folder, 'second')];
  const coordinator = new NodeProcess({
    nodeId: 'coordinator',
    port: 0,
    dataDir: false,
    localSteps: 'never',
    coordinator: { heartbeatMs: 100, suspectAfterMs: 300, lostAfterMs: 800 },
    ledger,
  });
  const { url = '', http = '' } = await coordinator.ready;
  const startWorker = (nodeId: string) =>
    new NodeProcess({ nodeId, role: 'worker', connect: url, dataDir: false, ledger });
  const nodes = new Map([['w-1', startWorker('w-1')]]);
  try {
    const [[, stopped]] = [...nodes] as [[string, NodeProcess]];
    await stopped.ready;
    const client = new Client(http);
    const runId = await client.submit(
      {
        workflow: 'pause',
        steps: [
          { id: 'a', type: 'ledger_write', params: { value: 1, until: first } },
          { id: 'b', type: 'ledger_write', params: { value: '$a.result', until: second } },
        ],
      },
      {},
      'one',
    );
    assert.ok((await stopped.line(({ began }) => began === `${runId}/a`)) !== undefined);
    stopped.child.kill('SIGSTOP');
    await client.follow(runId, (text) => text.includes('"kind":"step.reassigned"'));
    const other = startWorker('w-2');
    nodes.set('w-2', other);
    const again = await other.line(({ began }) => began === `${runId}/a`);
    assert.equal(again?.attempt, 2);
    await writeFile(first, '');
    await other.line(({ began }) => began === `${runId}/b`);

    // It goes on, writes its line, and brings its result: the run waits in b, so there is somebody to refuse it.
    stopped.child.kill('SIGCONT');
    const back = await client.submit(
      {
        workflow: 'back',
        steps: [{ id: 'c', type: 'ledger_write', params: { value: 7 }, node_preference: { require_node: 'w-1' } }],
      },
      {},
      'two',
    );
    assert.equal((await client.ended(back)).status, 'completed', 'it is a worker again');
    await writeFile(second, '');
    const result = await client.ended(runId);
    assert.equal(result.status, 'completed');
    assert.deepEqual(
      result.execution_trace.timeline.map(({ step_id, node, attempt, outcome }) => [step_id, node, attempt, outcome]),
      [
        ['a', 'w-1', 1, 'reassigned'],
        ['a', 'w-2', 2, 'success'],
        ['b', 'w-2', 1, 'success'],
      ],
    );
    const bundle = await client.bundle(runId);
    assert.ok(verifyBundle(bundle, { trust: await client.trust() }).pinned);
    assert.deepEqual(
      bundle.receipts.map((envelope) => decodeReceipt(envelope).predicate.node.id),
      ['w-2', 'w-2'],
    );
    const lines = (await readFile(ledger, 'utf8')).split('\n').filter((line) => line.startsWith(`${runId}/a `));
    assert.ok(lines.includes(`${runId}/a 2`), 'the effect carries the same key, whoever made it');
  } finally {
    for (const node of [coordinator, ...nodes.values()]) {
      node.child.kill('SIGCONT');
      await node.kill();
    }
  }
});
