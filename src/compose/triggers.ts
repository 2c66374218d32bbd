import { createMqSource } from '../adapters/mq/trigger.ts';
import type { CoordinatorDeps } from '../engine/coordinator.ts';
import { abortable } from '../kit/abortable.ts';
import { StepError } from '../lib/errors.ts';
import { findPointers, redactor, resolvePointers } from '../lib/secrets.ts';
import type { Egress } from '../ports/egress.ts';
import type { MessageSource } from '../ports/message-source.ts';
import type { Vault } from '../ports/vault.ts';

/** The sources of triggers that go with the chosen adapters. */
export function sourcesFor(
  adapters: readonly string[] = ['all'],
  { egress, vault }: { egress: Egress; vault: Vault },
): NonNullable<CoordinatorDeps['sources']> {
  const hasMq = adapters.includes('all') || adapters.includes('mq');
  return hasMq ? { mq: withSecrets(createMqSource({ egress }), vault) } : {};
}

/** A source whose params may hold vault pointers: they are resolved each time it starts, and no state of it tells the secrets. */
function withSecrets(source: MessageSource, vault: Vault): MessageSource {
  return {
    async start(config, deliver, signal) {
      const resolving = resolvePointers(config.params, findPointers(config.params), (name, version) =>
        version === undefined ? vault.resolve(name) : vault.resolve(name, version),
      );
      // A vault may hang.
      const { params, secrets } = await abortable(resolving, signal);
      const redact = redactor(secrets);
      const onState: typeof config.onState = (state) =>
        config.onState(state.kind === 'disconnected' ? { ...state, why: redact(state.why) } : state);
      try {
        await source.start({ ...config, params, onState }, deliver, signal);
      } catch (thrown) {
        if (thrown instanceof StepError)
          throw new StepError(thrown.code, redact(thrown.message), { retryable: thrown.retryable, cause: thrown });
        throw thrown;
      }
    },
    close: () => source.close(),
  };
}
