// The examples of docs/adapters/mq-kafka.md and mq-nats.md do what they say.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { createMqAdapter } from '../../../src/adapters/mq/adapter.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { contextFor } from '../../compliance/adapter.ts';
import { describeWith } from '../../support/services.ts';
import { egress } from './brokers.ts';

async function runExamples(page: string, url: string): Promise<void> {
  const text = await readFile(new URL(`../../../docs/adapters/${page}`, import.meta.url), 'utf8');
  const unique = randomBytes(5).toString('hex');
  // The server, and the names in it, are this test's own.
  const own = text
    .replaceAll(/(kafka|nats):\/\/localhost:\d+/g, url.replace(/\/$/, ''))
    .replaceAll(/\borders\b/g, `orders-${unique}`)
    .replaceAll('orders_new', `orders-${unique}_new`);
  const blocks = [...own.matchAll(/^```json\n(.*?)^```/gms)].map(([, code = '']) => JSON.parse(code) as JSONObject);
  assert.ok(blocks.length >= 6 && blocks.length % 2 === 0, `${blocks.length} blocks`);
  const registry = new AdapterRegistry();
  registry.register(createMqAdapter({ egress }));
  try {
    for (let index = 0; index < blocks.length; index += 2) {
      const { type, params } = blocks[index] as { type: string; params: JSONObject };
      const step = { id: `step-${unique}`, type, params };
      const settle: (() => unknown)[] = [];
      const context = {
        ...contextFor(step),
        idempotency_key: unique,
        afterCommit: (fn: () => unknown) => void settle.push(fn),
      };
      const output = (await registry.run(step, context)) as JSONObject;
      for (const fn of settle) await fn();
      for (const [name, expected] of Object.entries(blocks[index + 1] ?? {}))
        assert.deepEqual(output[name], expected, `${type}: ${name}`);
    }
  } finally {
    await registry.close();
  }
}

describeWith('kafka', 'docs/adapters/mq-kafka.md', (url) => {
  test('its examples', () => runExamples('mq-kafka.md', url));
});
describeWith('nats', 'docs/adapters/mq-nats.md', (url) => {
  test('its examples', () => runExamples('mq-nats.md', url));
});
