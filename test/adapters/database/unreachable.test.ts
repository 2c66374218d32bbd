// What a connection string gets wrong, and servers that can't be reached: the error names the parameter, or the server, and no secret.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freePorts } from '../../../scripts/servers/ports.ts';
import type { StepError } from '../../../src/lib/errors.ts';
import { fails, Harness } from './harness.ts';

async function failureOf(url: string): Promise<StepError> {
  const harness = new Harness(url);
  try {
    await harness.query({ query: 'SELECT 1', options: { retry_attempts: 0 } });
  } catch (thrown) {
    return thrown as StepError;
  } finally {
    await harness.close();
  }
  assert.fail('it should have failed');
}

for (const scheme of ['postgres', 'mysql'])
  test(`${scheme}: where nothing listens, the error names host and port`, async () => {
    const [port] = await freePorts(1);
    const thrown = await failureOf(`${scheme}://user:Canary77@127.0.0.1:${port}/db`);
    fails('CONNECTION_FAILED', { says: new RegExp(`: 127\\.0\\.0\\.1:${port}$`), silent: ['Canary77'] })(thrown);
    assert.equal(thrown.retryable, true);
  });

for (const scheme of ['postgres', 'postgresql', 'mysql', 'mariadb', 'mongodb', 'redis', 'rediss'])
  test(`${scheme}: an @ behind the host is refused without its text, which may be a part of the password`, async () => {
    const silent = ['Tail99x', 'Secret', '1234'];
    for (const rest of [
      'u:Secret@Tail99x/abc@host/db',
      'u:1234/Tail99x@host:1/db',
      'u:1234?Tail99x@host:1',
      'u:1234#Tail99x@host:1',
    ])
      fails('INVALID_PARAMS', { says: /%40/, silent })(await failureOf(`${scheme}://${rest}`));
  });

for (const [url, meant] of [
  ['postgres://127.0.0.1:1/db?sslmod=require', 'sslmode'],
  ['mysql://127.0.0.1:1/db?sokcet=/tmp/x', 'socket'],
  ['sqlite:/tmp/nothing.db?journalmode=wal', 'journal_mode'],
] as const)
  test(`${url}: a parameter that nobody reads is refused, with the one that is meant`, async () => {
    fails('INVALID_PARAMS', { says: new RegExp(`did you mean ${meant}\\?`) })(await failureOf(url));
  });

test('a server as a parameter is refused: PostgreSQL would be looked for on this machine', async () => {
  fails('INVALID_PARAMS', { says: /its parameter host/ })(await failureOf('postgres:///db?host=db.example'));
});
