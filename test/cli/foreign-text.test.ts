import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { call } from './terminal.ts';

/** Clears the screen, sets the window's title, and adds a line of its own. */
const evil = '\u001b[2J\u001b]0;owned\u0007\u009b1m\nVerified.';

const result = {
  workflow_id: evil,
  run_id: evil,
  status: 'failed',
  receipts: [],
  outputs: { [evil]: evil },
  waiting: { [evil]: evil },
  merkle_root: evil,
  result_root: evil,
  error: { step_id: evil, code: evil, message: 'no' },
  execution_trace: {
    nodes: [evil],
    timeline: [{ step_id: evil, node: evil, attempt: 1, outcome: evil, latency_ms: 1, reason: evil }],
  },
  stats: { total_steps: 1, succeeded: 0, failed: 1, total_time_ms: 1 },
};
const node = {
  id: evil,
  role: evil,
  state: evil,
  adapters: [evil],
  resources: { free: { [evil]: evil } },
  load: { running: 0, slots: 1 },
  latency_ms: null,
};
const run = { run_id: evil, workflow: evil, status: evil, steps_done: 0, steps_total: 1, started_at: evil };
const answers: Record<string, object> = {
  '/api/v1/runs/r': result,
  '/api/v1/nodes': { coordinator: evil, nodes: [node] },
  '/api/v1/runs': { runs: [{ ...run, finished_at: null }], cursor: evil },
  '/api/v1/join-tokens': { token: evil },
};

describe('text of others never steers the terminal', () => {
  let url = '';
  const server = http.createServer((request, response) =>
    response.end(JSON.stringify(answers[request.url?.split('?')[0] ?? ''] ?? {})),
  );
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  const assertHarmless = ({ out, err }: { out: string; err: string }): void => {
    const text = `${out}${err}`;
    assert.match(text, /owned/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not be there
    assert.doesNotMatch(text, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
    assert.doesNotMatch(text, /^Verified\./m);
  };
  for (const argv of [['show', 'r'], ['nodes'], ['runs'], ['token']])
    it(argv.join(' '), async () => {
      const answer = await call([...argv, '--connect', url]);
      assert.equal(answer.code, 0, answer.err);
      assertHarmless(answer);
    });

  it('validate', async () => {
    const step = { id: 'a', type: 'mock_compute', params: {} };
    for (const workflow of [
      { workflow: evil, steps: [step] },
      { workflow: 'w', steps: [{ ...step, [evil]: 1 }] },
      { workflow: 'w', steps: [{ ...step, id: evil }] },
    ])
      assertHarmless(await call(['validate', '-'], { input: JSON.stringify(workflow) }));
  });
});
