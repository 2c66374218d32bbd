// How fast packets move, in memory and over sockets.
// Options: --seconds N
//
// Both ends live in this process, so that over a socket the figures are those of one core; two processes do better.
import { parseArgs } from 'node:util';
import type { Connection, Packet, Transport } from '../src/ports/transport.ts';
import { memoryTransport } from '../src/transport/memory/memory-transport.ts';
import { wsTransport } from '../src/transport/ws/ws-transport.ts';
import { makeCertificates } from '../test/support/certificates.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '2' } } });
/** For one measurement. */
const measureMs = 1000 * Number(values.seconds);

const digest = 'a'.repeat(64);
const attempt = { run_id: 'run-1', step_id: 'step-1', attempt: 1, epoch: 1 };
/** About what a finished step sends. */
const result: Packet = {
  message: {
    kind: 'result',
    ...attempt,
    envelope: {
      payload: 'p'.repeat(1200),
      payloadType: 'application/vnd.in-toto+json',
      signatures: [{ keyid: digest, sig: 's'.repeat(88) }],
    },
    output: { value: { result: 42, count: 1 } },
    output_digest: digest,
  },
};
const ping: Packet = { message: { kind: 'ping', at: 1 } };
const pong: Packet = { message: { kind: 'pong', at: 1, running: 0, free: {} } };
const chunk: Packet = {
  message: { kind: 'blob.data', id: 1, offset: 0, total: 256 * 1024 },
  bytes: new Uint8Array(256 * 1024),
};

interface Pair {
  near: Connection;
  far: Connection;
}

async function connect(transport: Transport): Promise<Pair & { close(): Promise<void> }> {
  const { promise, resolve } = Promise.withResolvers<Connection>();
  const listener = await transport.listen(resolve);
  const near = await transport.connect(listener.url);
  const far = await promise;
  near.onPacket(() => {});
  far.send({ message: { kind: 'welcome', epoch: 1, heartbeat_ms: 1000, drop: [] } });
  return { near, far, close: () => listener.close() };
}

/** Keeps `inFlight` pings under way; answers how many came back per second. */
function roundTrips({ near, far }: Pair, inFlight: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const start = performance.now();
  let done = 0;
  far.onPacket(() => far.send(pong));
  near.onPacket(() => {
    done += 1;
    const ms = performance.now() - start;
    if (ms < measureMs) near.send(ping);
    else resolve((done * 1000) / ms);
  });
  for (let i = 0; i < inFlight; i++) near.send(ping);
  return promise;
}

/** Sends as fast as the peer takes it; answers how many arrived per second. */
async function oneWay({ near, far }: Pair, packet: Packet, perTurn: number): Promise<number> {
  let arrived = 0;
  let sent = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const start = performance.now();
  let ended = false;
  far.onPacket(() => {
    arrived += 1;
    if (ended && arrived === sent) resolve();
  });
  while (performance.now() - start < measureMs) {
    for (let i = 0; i < perTurn; i++) near.send(packet);
    sent += perTurn;
    await near.drained();
    if (!near.local) await new Promise((next) => setImmediate(next));
    else await undefined;
  }
  ended = true;
  if (arrived < sent) await promise;
  return (arrived * 1000) / (performance.now() - start);
}

const certificates = makeCertificates();
const transports: Record<string, () => Transport> = {
  memory: () => memoryTransport(),
  ws: () => wsTransport(),
  wss: () => wsTransport({ tls: { ...certificates.server, ca: certificates.ca.cert } }),
};

const rows: Record<string, Record<string, string>> = {};
for (const [name, make] of Object.entries(transports)) {
  const measure = async (run: (pair: Pair) => Promise<number>): Promise<number> => {
    const { close, ...pair } = await connect(make());
    const rate = await run(pair);
    await close();
    return rate;
  };
  const thousands = (rate: number): string => `${(rate / 1000).toFixed(1)} k/s`;
  rows[name] = {
    'round trips, 1': thousands(await measure((pair) => roundTrips(pair, 1))),
    'round trips, 100': thousands(await measure((pair) => roundTrips(pair, 100))),
    'results, 100 a turn': thousands(await measure((pair) => oneWay(pair, result, 100))),
    'results, 1 a turn': thousands(await measure((pair) => oneWay(pair, result, 1))),
    'blob chunks': `${((await measure((pair) => oneWay(pair, chunk, 1))) / 4).toFixed(0)} MiB/s`,
  };
}
console.table(rows);
