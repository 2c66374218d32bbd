import type { AdapterContext } from '../../src/ports/adapter.ts';

const nothing = (): void => undefined;

/** What an adapter gets of the first attempt at a step, without secrets and blobs. It loads nothing, for processes that start to be killed. */
export const bareContext = (own: Partial<AdapterContext> = {}): AdapterContext => ({
  run_id: 'run',
  step_id: 'step',
  attempt: 1,
  tenant_id: null,
  idempotency_key: 'run/step',
  signal: new AbortController().signal,
  deadline_ms: undefined,
  seed: '0123456789abcdef0123456789abcdef',
  last_checkpoint: undefined,
  keeps_checkpoints: true,
  resources: {},
  assets: {},
  pin: nothing,
  varies: nothing,
  checkpoint: async () => undefined,
  progress: nothing,
  log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
  vault: { resolve: () => Promise.reject(new Error('there are no secrets here')) },
  blobs: {
    get: () => Promise.reject(new Error('there are no blobs here')),
    put: () => Promise.reject(new Error('there is no place for blobs here')),
  },
  redact: (text) => text,
  afterCommit: nothing,
  ...own,
});
