import assert from 'node:assert/strict';
import { test } from 'node:test';
import { availableProviders, chooseProvider } from './choose-provider.ts';

const node = { provider: 'ibm', token: 'node-token', instance: 'crn:v1:node', device: 'ibm_fez' } as const;

test('The provider that the step or the node is set up with is used, the step first', () => {
  assert.deepEqual(availableProviders(node), ['ibm']);
  assert.deepEqual(availableProviders({}, { provider: 'ionq', token: '' }), []);
  const own = chooseProvider('real_quantum_hardware', {}, node);
  assert.deepEqual(
    [own.provider, own.token, own.instance, own.device],
    ['ibm', 'node-token', 'crn:v1:node', 'ibm_fez'],
  );
  const other = chooseProvider('real_quantum_hardware', { provider: 'ionq', token: 'mine', device: 'simulator' }, node);
  assert.deepEqual(
    [other.provider, other.token, other.instance, other.device],
    ['ionq', 'mine', undefined, 'simulator'],
  );
  assert.equal(chooseProvider('ibm', { token: 'mine' }, node).token, 'mine');
});

test('Where there is none, that is said', () => {
  assert.throws(() => chooseProvider('real_quantum_hardware', {}, {}), { code: 'QUANTUM_NO_PROVIDER' });
  assert.throws(() => chooseProvider('ionq', {}, node), { code: 'QUANTUM_NO_PROVIDER', message: /no token for ionq/ });
  assert.throws(() => chooseProvider('ionq', { provider: 'ibm' }, node), { code: 'INVALID_PARAMS' });
});

test("The node's token goes to nowhere that a step names", () => {
  const baseUrl = 'https://elsewhere.example';
  assert.throws(() => chooseProvider('ibm', { baseUrl }, node), { code: 'INVALID_PARAMS' });
  assert.throws(() => chooseProvider('ibm', { iamUrl: baseUrl }, node), { code: 'INVALID_PARAMS' });
  assert.equal(chooseProvider('ibm', { baseUrl, token: 'mine' }, node).baseUrl, baseUrl);
  // Nor does a step's token go where the node's would.
  assert.equal(chooseProvider('ibm', { token: 'mine' }, { ...node, baseUrl }).baseUrl, undefined);
});
