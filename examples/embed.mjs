// An engine within your own program: ESM. After `npm install jsonflow` the import is from 'jsonflow'.
import { readFile } from 'node:fs/promises';
import { DistributedEngine } from '../distributed-engine.js';

const read = async (name) => JSON.parse(await readFile(new URL(name, import.meta.url), 'utf8'));
const engine = new DistributedEngine({ dataDir: false });
engine.on('step:completed', ({ stepId, latency }) => console.log(`${stepId} took ${latency} ms`));

const result = await engine.execute(await read('etl.json'), await read('data/orders.json'));
console.table(result.outputs.report.result);

const replay = await engine.replay(result);
console.log(`replayed: ${replay.same} of ${replay.steps.length} steps gave the same output again`);
await engine.close();
