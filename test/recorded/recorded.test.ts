import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { verifyBundle } from '../../src/core/receipt/verify.ts';
import { applyEvent, startRun } from '../../src/core/run/fold.ts';
import { resultOf } from '../../src/core/run/result.ts';
import { planWorkflow } from '../../src/core/workflow/plan.ts';
import type { RunEvent } from '../../src/protocol/events.ts';

const folder = new URL('./', import.meta.url);
const recorded = (await readdir(folder)).filter((name) => name.endsWith('.json'));

test('there is a recorded journal', () => assert.ok(recorded.includes('journal-v1.json')));

for (const name of recorded)
  test(`${name}: an old journal still gives the same result, and its bundle still verifies`, async () => {
    const { run_id, events, result, bundle } = JSON.parse(await readFile(new URL(name, folder), 'utf8'));
    const [started, ...rest] = events as RunEvent[];
    assert.ok(started?.kind === 'run.started');
    const run = startRun(run_id, started, planWorkflow(started.workflow), () => undefined);
    for (const event of rest) applyEvent(run, event, () => undefined);
    const again = resultOf(run, (stored) => ('value' in stored ? stored : { value: null }), 0);
    assert.deepEqual(JSON.parse(JSON.stringify(again)), result);
    assert.equal(result.status, 'failed');
    assert.deepEqual(verifyBundle(bundle).problems, []);
  });
