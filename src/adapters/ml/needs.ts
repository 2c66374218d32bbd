import type { AdapterStep } from '../../ports/adapter.ts';

/** A step that names a GPU as its device goes where there is one, also where it reserves nothing. WebGPU may be software. */
export const needsOf = ({ params: { device } }: AdapterStep): Record<string, number> =>
  typeof device === 'string' && /^(gpu|cuda(:\d+)?)$/.test(device) ? { gpu: 1 } : {};
