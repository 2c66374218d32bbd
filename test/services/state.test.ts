import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { exclusively } from '../../scripts/servers/lock.ts';
import { readState, type State, writeState } from '../../scripts/servers/state.ts';

const root = mkdtempSync(join(tmpdir(), 'jsonflow-state-'));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const folder = (): string => join(root, String(count++));

const state: State = {
  services: {
    redis: {
      name: 'redis',
      url: 'redis://127.0.0.1:1',
      version: '7',
      pid: 1,
      processes: [{ pid: 1, started: 'x' }],
      dataDir: '/nowhere',
      ports: [1],
      log: '/nowhere/log.txt',
      temporary: true,
    },
  },
  starting: {},
  users: [],
  unavailable: { kafka: 'no Java' },
};

describe('the state file', () => {
  test('that does not exist yet says that nothing runs', () => {
    assert.deepEqual(readState(folder()), { services: {}, starting: {}, users: [], unavailable: {} });
  });

  test('gives back what was written, and lies there for its owner alone', () => {
    const place = folder();
    writeState(state, place);
    assert.deepEqual(readState(place), state);
    assert.deepEqual(readdirSync(place), ['state.json']);
    assert.equal(statSync(join(place, 'state.json')).mode & 0o077, 0);
  });

  test('is read with less in it than we write', () => {
    const place = folder();
    writeState(state, place);
    writeFileSync(join(place, 'state.json'), '{"services":{}}');
    assert.deepEqual(readState(place).users, []);
  });

  test('that is damaged is an error that names it: its servers would be forgotten', () => {
    const place = folder();
    writeState(state, place);
    writeFileSync(join(place, 'state.json'), '{"services":');
    assert.throws(() => readState(place), /state\.json is not JSON\. End the servers that it names/);
  });
});

describe('the lock', () => {
  test('lets one in at a time', async () => {
    const place = folder();
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise(setImmediate);
      inside--;
    };
    await Promise.all(Array.from({ length: 4 }, () => exclusively(work, place)));
    assert.equal(most, 1);
  });

  test('opens again after a failure, and tells those who wait', async () => {
    const place = folder();
    let waited = false;
    const first = exclusively(
      () => new Promise<void>((_, reject) => setTimeout(() => reject(new Error('mishap')), 50)),
      place,
    );
    const second = exclusively(
      async () => 'done',
      place,
      () => {
        waited = true;
      },
    );
    await assert.rejects(first, /mishap/);
    assert.equal(await second, 'done');
    assert.ok(waited);
  });
});
