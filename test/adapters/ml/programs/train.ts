// A child program on a system that sets no limits: only its own thread looks after it, while it takes memory or never ends.
import { serve } from '../../../../src/adapters/ml/process/serve.ts';
import { Watch } from '../../../../src/adapters/ml/process/watch.ts';

const kept: Uint8Array[] = [];

serve({
  bomb({ memoryMb, parent }: { memoryMb: number; parent: number }) {
    new Watch(parent).limitMemory(memoryMb);
    for (;;) if (kept.length < 100) kept.push(new Uint8Array(16 * 1024 * 1024).fill(1));
  },
});
