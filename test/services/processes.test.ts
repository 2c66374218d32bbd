import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { freePorts } from '../../scripts/servers/ports.ts';
import {
  identify,
  isRunning,
  kill,
  type ProcessId,
  terminate,
  withDescendants,
} from '../../scripts/servers/process-id.ts';

/** A real process that says `ready` and then waits to be ended. */
async function start(script: string): Promise<{ id: ProcessId; ended: Promise<unknown[]> }> {
  const child = spawn(process.execPath, ['-e', `${script}; console.log('ready'); setInterval(() => {}, 1000)`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  const id = child.pid === undefined ? undefined : identify(child.pid);
  assert.ok(id);
  return { id, ended: once(child, 'exit') };
}

describe('a process', () => {
  test('is known by number and start time, so a later process with its number is another', async () => {
    const us = identify(process.pid);
    assert.ok(us && isRunning(us));
    assert.equal(isRunning({ ...us, started: 'earlier' }), false);
  });

  test('with the number of one that was noted is not ended in its place', async () => {
    const { id, ended } = await start('');
    await terminate([{ ...id, started: 'earlier' }], 100);
    await kill([{ ...id, started: 'earlier' }]);
    assert.ok(isRunning(id));
    await kill([id]);
    assert.deepEqual(await ended, [null, 'SIGKILL']);
  });

  test('that has ended has no identity', async () => {
    const { id, ended } = await start('');
    await kill([id]);
    await ended;
    assert.equal(identify(id.pid), undefined);
    assert.equal(isRunning(id), false);
  });

  test('is ended politely', async () => {
    const { id, ended } = await start("process.on('SIGTERM', () => process.exit(7))");
    await terminate([id], 10_000);
    assert.deepEqual(await ended, [7, null]);
  });

  test('that ignores it is ended by force', async () => {
    const { id, ended } = await start("process.on('SIGTERM', () => {})");
    await terminate([id], 100);
    assert.deepEqual(await ended, [null, 'SIGKILL']);
  });

  test('is killed with its descendants', async () => {
    const script = "require('node:child_process').spawn('sleep', ['600'], { detached: true })";
    const { id } = await start(script);
    const all = withDescendants([id]);
    assert.equal(all.length, 2);
    await kill([id]);
    assert.deepEqual(all.filter(isRunning), []);
  });
});

describe('free ports', () => {
  test('are different, and nobody listens on them', async () => {
    const ports = await freePorts(20);
    assert.equal(new Set(ports).size, 20);
  });

  test('are none that somebody listens on, nor one twice', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address);
    const [one, two] = await freePorts(2);
    const choices = [address.port, one, one, two];
    assert.deepEqual(await freePorts(2, () => choices.shift() ?? 0), [one, two]);
    server.close();
  });

  test('are given up on when none is found', async () => {
    const [port] = await freePorts(1);
    await assert.rejects(
      freePorts(2, () => port ?? 0),
      /No free ports found/,
    );
  });
});
