import { bell } from '../../../../src/adapters/quantum/circuit/library.ts';
import type { ProviderConfig } from '../../../../src/adapters/quantum/hardware/provider.ts';
import { runOnHardware } from '../../../../src/adapters/quantum/hardware/run.ts';
import { optionsFor } from './support.ts';

// The step of `runStep`, in a process of its own that tells how far it is.
process.once('message', (config: ProviderConfig) => {
  void runOnHardware(
    { config, circuit: bell(), shots: 400 },
    {
      signal: new AbortController().signal,
      idempotency_key: 'run-1/step-1',
      last_checkpoint: undefined,
      checkpoint: async (saved) => void process.send?.({ saved }),
      progress: () => void process.send?.({ waiting: true }),
    },
    optionsFor(),
  );
});
