import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { environmentVariable, serviceNames } from '../../scripts/servers/names.ts';

const script = join(import.meta.dirname, '..', '..', 'scripts', 'services.ts');

const services = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', env: { ...process.env, ...env } });

describe('scripts/services', () => {
  test('--help names every server and the exit codes', () => {
    const { status, stdout } = services(['--help']);
    assert.equal(status, 0);
    for (const word of [...serviceNames, 'JSONFLOW_TEST_POSTGRES', 'Exit codes'])
      assert.ok(stdout.includes(word), word);
  });

  for (const [args, message] of [
    [[], 'Say what to do'],
    [['restart'], 'There is no command "restart"'],
    [['start', 'oracle'], 'There is no server "oracle". Known: postgres,'],
    [['status', '--yaml'], "Unknown option '--yaml'"],
  ] as const) {
    test(`${args.join(' ') || 'without arguments'}: wrong usage`, () => {
      const { status, stdout, stderr } = services([...args]);
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.ok(stderr.includes(message), stderr);
      assert.ok(stderr.includes('--help'));
    });
  }

  test('reports a given server that does not answer, with the variable that names it', () => {
    const variable = environmentVariable('redis');
    const { status, stdout } = services(['status', 'redis', '--json'], { [variable]: 'redis://127.0.0.1:1' });
    assert.equal(status, 1);
    const { redis } = JSON.parse(stdout);
    assert.equal(redis.kind, 'unavailable');
    assert.match(redis.reason, /the server that JSONFLOW_TEST_REDIS names doesn't answer: .*ECONNREFUSED/);
  });
});
