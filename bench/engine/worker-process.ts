// A worker for the benchmarks: node worker-process.ts URL NAME [SLOTS]
import { DistributedEngine } from '../../src/compose/distributed-engine.ts';

const [url = '', nodeId = '', slots = ''] = process.argv.slice(2);
const engine = new DistributedEngine({
  role: 'worker',
  nodeId,
  connect: url,
  dataDir: false,
  capabilities: slots === '' ? {} : { max_concurrent_steps: Number(slots) },
});
await engine.start();
console.log('ready');
// The socket keeps the process alive; when the coordinator is gone for good, so is the reason to stay.
engine.on('connection', ({ kind }) => {
  if (kind !== 'connected') process.exit(0);
});
