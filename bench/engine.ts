// The engine: steps per second and latency, sleeping steps on several nodes, scale.
// Options: --only speed,table,scale, --seconds N, --peers (Restate beside it), --json
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { startCluster } from './engine/cluster.ts';
import { measurePeers } from './engine/peers.ts';
import { measureScale } from './engine/scale.ts';
import { speedShapes } from './engine/shapes.ts';
import { measure, type Speed } from './engine/speed.ts';
import { measureTable } from './engine/table.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'speed,table,scale' },
    seconds: { type: 'string', default: '5' },
    peers: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const parts = new Set(values.only.split(','));
const seconds = Number(values.seconds);
const say = (text: string): void => {
  if (!values.json) console.log(text);
};

async function speedWith(workers: number): Promise<Speed[]> {
  const { engine, close } = await startCluster(workers);
  try {
    const speeds: Speed[] = [];
    for (const shape of speedShapes) speeds.push(await measure(engine, shape, seconds));
    return speeds;
  } finally {
    await close();
  }
}

const rounded = (speeds: readonly Speed[]) =>
  speeds.map(({ shape, p50, p99, stepsPerSecond }) => ({
    shape,
    'p50 ms': Math.round(p50 * 100) / 100,
    'p99 ms': Math.round(p99 * 100) / 100,
    'steps/s': Math.round(stepsPerSecond),
  }));

const report: Record<string, unknown> = {
  cores: availableParallelism(),
  load_before: loadavg(),
  node: process.version,
};
say(
  `Node ${process.version}, ${availableParallelism()} cores, load ${loadavg()
    .map((x) => x.toFixed(2))
    .join(' ')}`,
);

if (parts.has('speed')) {
  for (const workers of [0, 3]) {
    const name = workers === 0 ? 'embedded' : `${workers} worker processes`;
    say(`\nDurable (synchronous=FULL), every receipt signed, ${name}; steps/s with 50 runs in flight`);
    const speeds = await speedWith(workers);
    report[name] = speeds;
    if (!values.json) console.table(rounded(speeds));
  }
}
if (values.peers) {
  say('\nThe same shapes on Restate (durable ctx.run), in the same run');
  const speeds = await measurePeers(speedShapes, seconds);
  report.restate = speeds;
  if (!values.json) console.table(rounded(speeds));
}
if (parts.has('table')) {
  say('\nSleeping steps: one node with one slot against three nodes with one slot each');
  const rows = await measureTable();
  report.table = rows;
  if (!values.json) console.table(rows);
}
if (parts.has('scale')) {
  say('\nScale');
  const rows = await measureScale();
  report.scale = rows;
  if (!values.json) console.table(rows);
}
report.load_after = loadavg();
if (values.json) console.log(JSON.stringify(report, null, 2));
