import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type HandshakeFacts, handshakeBytes } from './handshake.ts';

const facts: HandshakeFacts = {
  version: 1,
  epoch: 2,
  workerId: 'w',
  workerKey: 'worker key',
  workerNonce: 'worker nonce',
  coordinatorId: 'c',
  coordinatorKey: 'coordinator key',
  coordinatorNonce: 'coordinator nonce',
  channelBinding: new Uint8Array([1, 2]),
};
const text = (signer: 'worker' | 'coordinator', of: HandshakeFacts): string =>
  Buffer.from(handshakeBytes(signer, of)).toString();

it('what is signed differs with every fact, with the signer, and with the connection', () => {
  const changed: { [Field in keyof HandshakeFacts]: HandshakeFacts[Field] } = {
    version: 2,
    epoch: 3,
    workerId: 'v',
    workerKey: 'other',
    workerNonce: 'other',
    coordinatorId: 'd',
    coordinatorKey: 'other',
    coordinatorNonce: 'other',
    channelBinding: undefined,
  };
  const seen = new Set([text('worker', facts), text('coordinator', facts)]);
  for (const [field, value] of Object.entries(changed)) seen.add(text('worker', { ...facts, [field]: value }));
  seen.add(text('worker', { ...facts, channelBinding: new Uint8Array([1, 3]) }));
  seen.add(text('worker', { ...facts, channelBinding: new Uint8Array(0) }));
  assert.equal(seen.size, 2 + Object.keys(changed).length + 2);
});

it('no value can pass for another by where it ends', () => {
  const left = text('worker', { ...facts, workerNonce: 'ab', coordinatorNonce: 'c' });
  assert.notEqual(left, text('worker', { ...facts, workerNonce: 'a', coordinatorNonce: 'bc' }));
});
