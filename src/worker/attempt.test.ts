import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { identity } from '../../test/support/cluster.ts';
import { ManualClock } from '../../test/support/manual-clock.ts';
import { decodeReceipt } from '../core/receipt/statement.ts';
import { digestOf } from '../lib/canonical.ts';
import { JSONFlowError, StepError } from '../lib/errors.ts';
import type { Signer } from '../ports/signer.ts';
import type { Vault } from '../ports/vault.ts';
import { limits } from '../protocol/limits.ts';
import type { Assignment } from '../protocol/messages.ts';
import { Attempt } from './attempt.ts';
import type { ContextLink } from './context.ts';
import { AdapterRegistry, type CustomAdapter } from './registry.ts';

const never = new Promise<never>(() => undefined);
const digest = '0'.repeat(64);

function assignmentOf(change: Partial<Assignment> = {}): Assignment {
  const params = change.params ?? { value: {} };
  return {
    run_id: 'r',
    step_id: 's',
    attempt: 1,
    epoch: 1,
    tenant_id: null,
    step_type: 'odd',
    workflow_digest: digest,
    step_digest: digest,
    input_digest: 'value' in params ? digestOf(params.value) : params.digest,
    params,
    pointers: [],
    parents: [],
    resources: {},
    timeout_ms: null,
    ...change,
  };
}

interface Parts {
  execute?: CustomAdapter['execute'];
  assignment?: Partial<Assignment>;
  vault?: Vault;
  signer?: Signer;
  link?: Partial<ContextLink>;
}

function attemptOf(parts: Parts): { attempt: Attempt; clock: ManualClock; lines: string[]; started: () => boolean } {
  const clock = new ManualClock();
  const lines: string[] = [];
  let ran = false;
  const registry = new AdapterRegistry();
  registry.register({
    getManifest: () => ({ adapter_id: 'odd', version: '1', step_types: [{ type: 'odd', deterministic: true }] }),
    execute: (step, context) => {
      ran = true;
      return parts.execute?.(step, context) ?? null;
    },
  });
  const attempt = new Attempt(
    assignmentOf(parts.assignment),
    {
      nodeId: 'w',
      signer: parts.signer ?? identity(7),
      clock,
      vault: parts.vault ?? { resolve: async () => 'correct horse battery staple' },
      registry,
      stopGraceMs: 1_000,
    },
    {
      local: false,
      getBlob: () => never,
      putBlob: async () => undefined,
      progress: () => undefined,
      log: (level, text) => void lines.push(`${level}: ${text}`),
      checkpoint: async () => undefined,
      ...parts.link,
    },
  );
  return { attempt, clock, lines, started: () => ran };
}

const secretParams: Partial<Assignment> = { params: { value: { key: 'vault://key' } }, pointers: [['key']] };

describe('whatever an adapter throws becomes a failure with a receipt that holds', () => {
  const grinning = '😀';
  const thrown: Record<string, () => unknown> = {
    'a text cut within a character': () => new StepError('X', `${'a'.repeat(limits.errorLengthMax - 1)}${grinning}`),
    'a lone surrogate': () => new StepError('X', 'bad \ud800 text'),
    'a lone surrogate in the code': () => new StepError('X\udc00', 'x'),
    'a very long code': () => new StepError('X'.repeat(10_000), 'x'),
    'no code': () => new StepError(undefined as never, 'x'),
    'a number for a code': () => new StepError(404 as never, 'x'),
    'an object for a code': () => new StepError({ code: 1 } as never, 'x', { retryable: 'yes' as never }),
    'a message that is no text': () => Object.assign(new StepError('X', 'x'), { message: { lone: '\ud800' } }),
    'a message that throws': () =>
      Object.defineProperty(new Error('x'), 'message', {
        get: () => {
          throw new Error('no');
        },
      }),
    'an object without a prototype': () => Object.create(null),
    nothing: () => undefined,
    'a symbol': () => Symbol('odd'),
    'a proxy that refuses': () =>
      new Proxy(
        {},
        {
          getPrototypeOf: () => {
            throw new Error('no');
          },
        },
      ),
  };
  for (const [what, make] of Object.entries(thrown))
    it(what, async () => {
      const { attempt } = attemptOf({
        execute: () => {
          throw make();
        },
      });
      const result = await attempt.run();
      const { predicate } = decodeReceipt(result.envelope);
      assert.equal(predicate.status, 'failed');
      assert.deepEqual(predicate.error, result.error);
      const { code = '', message = '', retryable } = result.error ?? {};
      assert.ok(code.length > 0 && code.length <= limits.idLengthMax && code.isWellFormed());
      assert.ok(message.length <= limits.errorLengthMax && message.isWellFormed());
      assert.equal(retryable, false);
    });
});

it('a secret at the place where a message is cut does not leave half of it behind', async () => {
  const { attempt } = attemptOf({
    assignment: secretParams,
    execute: ({ params }) => {
      throw new StepError('X', `${'a'.repeat(limits.errorLengthMax - 10)}${String(params.key)}`);
    },
  });
  const { error } = await attempt.run();
  assert.ok(!error?.message.includes('correct'), error?.message.slice(-30));
});

it('a failure after the commit is told without secrets, and within a line', async () => {
  const { attempt, lines } = attemptOf({
    assignment: secretParams,
    execute: ({ params }, { afterCommit }) => {
      afterCommit(() => {
        throw new Error(`${String(params.key)} \ud800 ${'a'.repeat(100_000)}`);
      });
      afterCommit(() => Promise.reject(Object.create(null)));
      return 1;
    },
  });
  await attempt.run();
  await attempt.committed();
  assert.equal(lines.length, 2);
  for (const line of lines)
    assert.ok(line.length <= limits.logLineBytesMax && line.isWellFormed() && !line.includes('correct'));
});

describe('an attempt that cannot be signed', () => {
  it('says so where the first signature failed', async () => {
    const sound = identity(7);
    let times = 0;
    const signer: Signer = {
      keyId: sound.keyId,
      publicKey: sound.publicKey,
      sign: (bytes) => (times++ === 0 ? Promise.reject(new Error('busy')) : sound.sign(bytes)),
    };
    const result = await attemptOf({ signer }).attempt.run();
    assert.equal(result.error?.code, 'INTERNAL');
    assert.equal(decodeReceipt(result.envelope).predicate.status, 'failed');
  });

  it('ends without a receipt where the signer has failed for good', async () => {
    const { keyId, publicKey } = identity(7);
    const signer: Signer = { keyId, publicKey, sign: () => Promise.reject(new Error('gone')) };
    const result = await attemptOf({ signer }).attempt.run();
    assert.deepEqual(result.envelope.signatures, []);
    assert.throws(() => decodeReceipt(result.envelope), { code: 'BAD_EVIDENCE' });
  });
});

describe('a time-out and a cancellation reach an attempt wherever it hangs', () => {
  const blob = { digest, bytes: 300_000 };
  const hangs: Record<string, Parts> = {
    'in the vault': { assignment: secretParams, vault: { resolve: () => never } },
    'on its params': { assignment: { params: blob } },
    'on its checkpoint': { assignment: { checkpoint: blob } },
    'in the adapter': { execute: () => never },
    'in a checkpoint of its own': {
      assignment: { checkpoint_frequency: 'per_step' },
      execute: async (_step, context) => context.checkpoint({ at: 1 }),
      link: { checkpoint: () => never },
    },
    'on its output': { execute: () => 'x'.repeat(300_000), link: { putBlob: () => never } },
  };
  for (const [where, parts] of Object.entries(hangs)) {
    it(`time-out ${where}`, async () => {
      const { attempt, clock } = attemptOf({ ...parts, assignment: { ...parts.assignment, timeout_ms: 500 } });
      const ended = attempt.run();
      clock.advance(500);
      clock.advance(1_000);
      const { error } = await ended;
      assert.equal(error?.code, 'STEP_TIMEOUT');
      assert.equal(clock.pending, 0, 'no timer is left');
    });

    it(`cancellation ${where}`, async () => {
      const { attempt, clock } = attemptOf(parts);
      const ended = attempt.run();
      attempt.stop('STEP_CANCELLED', 'not wanted any more');
      clock.advance(1_000);
      const { error } = await ended;
      assert.deepEqual(error, { code: 'STEP_CANCELLED', message: 'not wanted any more', retryable: false });
      assert.equal(clock.pending, 0, 'no timer is left');
    });
  }

  it('and what comes too late starts nothing', async () => {
    const secret = Promise.withResolvers<string>();
    const { attempt, clock, started } = attemptOf({
      assignment: secretParams,
      vault: { resolve: () => secret.promise },
    });
    const ended = attempt.run();
    attempt.stop('STEP_CANCELLED', 'not wanted any more');
    clock.advance(1_000);
    await ended;
    secret.resolve('late');
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(started(), false);
  });
});

describe('a checkpoint that is not to be had', () => {
  const fetches: Record<string, ContextLink['getBlob']> = {
    'is missing': () => Promise.reject(new JSONFlowError('NOT_FOUND', 'the peer does not have the blob')),
    'is another': () => Promise.reject(new JSONFlowError('BAD_EVIDENCE', 'the bytes are not those of the blob')),
    'is no JSON': async () => Buffer.from('{'),
  };
  for (const [what, getBlob] of Object.entries(fetches))
    it(`${what}: the step begins afresh, and says so`, async () => {
      const { attempt, lines } = attemptOf({
        assignment: { checkpoint: { digest, bytes: 300_000 } },
        link: { getBlob },
        execute: (_step, { last_checkpoint }) => (last_checkpoint === undefined ? 'afresh' : 'from the checkpoint'),
      });
      const result = await attempt.run();
      assert.deepEqual(result.output, { value: 'afresh' });
      assert.match(lines.join('\n'), /^warn: the step starts afresh/);
    });
});

it('secrets that an adapter resolves one after the other are each taken out of what follows', async () => {
  const { attempt, lines } = attemptOf({
    vault: { resolve: async (name) => `the secret of ${name}` },
    execute: async (_, context) => {
      context.log.info('the secret of first is not known yet');
      for (const name of ['first', 'second']) {
        await context.vault.resolve(`vault://${name}`);
        context.log.info('the secret of first, the secret of second');
      }
      return new Array(5_000).fill('the secret of first, the secret of second');
    },
  });
  const { output } = await attempt.run();
  assert.deepEqual(lines, [
    'info: the secret of first is not known yet',
    'info: vault://first, the secret of second',
    'info: vault://first, vault://second',
  ]);
  assert.deepEqual(output, { value: new Array(5_000).fill('vault://first, vault://second') });
});

it('a receipt promises equal outputs as the manifest does, unless the attempt says that it varies', async () => {
  const promised = async (execute: CustomAdapter['execute']) =>
    decodeReceipt((await attemptOf({ execute }).attempt.run()).envelope).predicate.deterministic;
  assert.equal(await promised(() => 1), true);
  assert.equal(
    await promised((_step, { varies }) => {
      varies();
      return 1;
    }),
    false,
  );
});
