// An adapter of your own. This one stands in for an unreliable service: its first answer to each step is an error, which it
// declares retryable; fault_tolerance then has the step tried again. How to write adapters: docs/adapters/custom.md
import { DistributedEngine } from '../distributed-engine.js';

class UnreliableAdapter {
  getManifest() {
    return {
      adapter_id: 'unreliable',
      version: '1.0.0',
      step_types: [{ type: 'shout', params_schema: { text: 'string' }, deterministic: true }],
    };
  }

  async execute(step, context) {
    if (context.attempt === 1) throw Object.assign(new Error('busy'), { code: 'BUSY', retryable: true });
    return { result: `${step.params.text.toUpperCase()}!` };
  }

  healthCheck() {
    return { status: 'ok', timestamp: new Date().toISOString() };
  }
}

const engine = new DistributedEngine({ dataDir: false });
engine.registerAdapter(new UnreliableAdapter());
engine.on('step:failed', ({ stepId, attempt, error }) =>
  console.log(`${stepId}, attempt ${attempt}: ${error.code} ${error.message}`),
);

const result = await engine.execute({
  workflow: 'shouting',
  fault_tolerance: { retry_failed_steps: true, backoff_ms: 50 },
  steps: [{ id: 'loud', type: 'shout', params: { text: 'anyone there' } }],
});
console.log(`${result.outputs.loud.result} (${result.stats.retries} retry)`);
await engine.close();
