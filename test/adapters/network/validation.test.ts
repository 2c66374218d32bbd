// What a workflow gets wrong in the params of network steps is said before it runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stepTypes } from '../../../src/adapters/network/schemas.ts';
import { validateWorkflow } from '../../../src/core/workflow/validate.ts';
import type { JSONObject } from '../../../src/lib/json.ts';

const known = new Map(stepTypes.map((one) => [one.type, one]));
const problemsOf = (type: string, params: JSONObject): string[] =>
  problems({ workflow: 'w', steps: [{ id: 'a', type, params }] });

function problems(workflow: JSONObject): string[] {
  const { problems: found } = validateWorkflow(workflow, { stepTypes: known });
  return found.map(({ path, suggestion }) => `${path}: ${suggestion}`);
}

for (const [type, params, path] of [
  ['network_request', { url: 'ftp://example.org' }, 'url'],
  ['network_request', { url: 'example.org/path' }, 'url'],
  ['network_request', { url: 'https://user:word@example.org' }, 'url'],
  ['network_request', { url: 'https://example.org/a b' }, 'url'],
  ['network_request', { url: 'https://example.org', method: 'GET /x' }, 'method'],
  ['network_request', { url: 'https://example.org', method: 'CONNECT' }, 'method'],
  ['network_graphql', { url: 'ws://example.org', query: '{ a }' }, 'url'],
  ['network_websocket', { url: 'https://example.org' }, 'url'],
  ['network_grpc', { url: 'http://example.org:1', method: 'a.B/C' }, 'url'],
  ['network_grpc', { url: 'grpc://user:word@example.org:1', method: 'a.B/C' }, 'url'],
] as const)
  test(`${type} with ${JSON.stringify(params)} is refused by validation`, () => {
    const found = problemsOf(type, params);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0] ?? '', new RegExp(`params\\.${path}: ${path}: `));
    assert.doesNotMatch(found[0] ?? '', /word@/);
  });

for (const [type, params] of [
  ['network_request', { url: 'https://example.org:8443/a/b@c?d=@e', method: 'purge' }],
  ['network_request', { url: 'HTTP://[::1]:80' }],
  ['network_request', { url: 'vault://address' }],
  ['network_request', { url: '$input.url', method: '$input.method' }],
  ['network_request', { url: 'https://${input.host}/x y' }],
  ['network_websocket', { url: 'wss://example.org/x' }],
  ['network_grpc', { url: 'example.org:1', method: 'a.B/C' }],
  ['network_grpc', { url: 'grpcs://[::1]', method: 'a.B/C' }],
] as const)
  test(`${type} with ${JSON.stringify(params)} passes validation`, () =>
    assert.deepEqual(problemsOf(type, params), []));
