import type { AdapterStep } from '../../ports/adapter.ts';

/** A step of this adapter that names a GPU as its device goes where there is one, also where it reserves nothing. WebGPU may be software. */
export const needsOf = ({ type, params: { device } }: AdapterStep): Record<string, number> =>
  /^(?:gpu_compute|ml_(?:infer|batch|train))$/.test(type) &&
  typeof device === 'string' &&
  /^(?:gpu|cuda(?::\d+)?)$/.test(device)
    ? { gpu: 1 }
    : {};
