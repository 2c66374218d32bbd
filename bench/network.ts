// network_request beside undici itself, in one run.
// Options: --seconds N
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { Agent, request } from 'undici';
import { createNetworkAdapter } from '../src/adapters/network/adapter.ts';
import { createEgress } from '../src/egress/egress.ts';
import { sha256 } from '../src/lib/hash.ts';
import type { AdapterContext } from '../src/ports/adapter.ts';
import { bareContext } from '../test/support/bare-context.ts';

const rounds = 5;
const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '2' }, serve: { type: 'boolean', default: false } },
});
const bulkBytes = 256 * 1024 * 1024;

if (values.serve) serve();
else await measure(Number(values.seconds));

/** In a process of its own, so that it takes no time from who is measured. */
function serve(): void {
  const answer = JSON.stringify({ items: Array.from({ length: 20 }, (_, id) => ({ id, name: `item ${id}` })) });
  const block = Buffer.alloc(256 * 1024, 'some bytes of a large answer\n');
  const server = createServer((incoming, response) => {
    incoming.resume();
    if (incoming.url !== '/bulk')
      return void response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    let left = bulkBytes / block.length;
    const more = (): void => {
      while (left-- > 0) if (!response.write(block)) return void response.once('drain', more);
      response.end();
    };
    more();
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    process.send?.(typeof address === 'object' ? address?.port : undefined);
  });
  process.on('disconnect', () => process.exit());
}

/** Bodies are not kept. */
function contextOf(): AdapterContext {
  return bareContext({
    vault: { resolve: (pointer) => Promise.resolve(pointer) },
    blobs: { get: () => Promise.resolve(new Uint8Array()), put: async (bytes) => sha256(bytes) },
  });
}

interface Measured {
  perSecond: number;
  cpuMicros: number;
}

/** Calls per second, with so many at once, and what each took of this process's time: a busy machine changes that less. */
async function rate(ms: number, concurrency: number, call: () => Promise<unknown>): Promise<Measured> {
  const cpu = process.cpuUsage();
  const end = performance.now() + ms;
  let calls = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (performance.now() < end) {
        await call();
        calls += 1;
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (calls * 1000) / (performance.now() - start), cpuMicros: (user + system) / calls };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function measure(perRound: number): Promise<void> {
  const child = fork(import.meta.filename, ['--serve']);
  const [port] = await once(child, 'message');
  const url = `http://127.0.0.1:${port}`;
  const adapter = createNetworkAdapter({ egress: createEgress({ allow: ['127.0.0.1'] }) });
  const agent = new Agent({ connections: 64 });
  const own = async (params: object): Promise<unknown> =>
    adapter.execute({ id: 'step', type: 'network_request', params: { ...params } }, contextOf());
  const bare = async (method: 'GET' | 'POST'): Promise<unknown> => {
    const body = method === 'POST' ? JSON.stringify({ a: 1 }) : null;
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'bench',
      'accept-encoding': 'gzip, deflate, br, zstd',
    };
    const answer = await request(url, {
      dispatcher: agent,
      method,
      body,
      headers,
      signal: AbortSignal.timeout(30_000),
    });
    return answer.body.json();
  };
  console.log(
    `Node ${process.version}, ${availableParallelism()} cores, load ${loadavg()
      .map((x) => x.toFixed(2))
      .join(' ')}`,
  );
  const table: Record<string, unknown>[] = [];
  for (const [name, concurrency, ours, theirs] of [
    ['GET, 1 at a time', 1, () => own({ url }), () => bare('GET')],
    ['GET, 32 at a time', 32, () => own({ url }), () => bare('GET')],
    ['POST, 32 at a time', 32, () => own({ url, method: 'POST', body: { a: 1 } }), () => bare('POST')],
  ] as const) {
    const results: { own: Measured; bare: Measured }[] = [];
    // One after the other, so that a busy machine slows both.
    for (let round = 0; round <= rounds; round += 1) {
      const bareResult = await rate(perRound * 1000, concurrency, theirs);
      const ownResult = await rate(perRound * 1000, concurrency, ours);
      if (round > 0) results.push({ own: ownResult, bare: bareResult });
    }
    const of = (get: (one: { own: Measured; bare: Measured }) => number): number => median(results.map(get));
    table.push({
      what: name,
      'network_request/s': Math.round(of(({ own: { perSecond } }) => perSecond)),
      'undici/s': Math.round(of(({ bare: { perSecond } }) => perSecond)),
      ratio: of((one) => one.own.perSecond / one.bare.perSecond).toFixed(2),
      'ratio of CPU time': of((one) => one.bare.cpuMicros / one.own.cpuMicros).toFixed(2),
    });
  }
  console.table(table);
  const start = performance.now();
  await own({ url: `${url}/bulk`, options: { timeout: 600_000 } });
  const storing = performance.now() - start;
  const drainStart = performance.now();
  const { body } = await request(`${url}/bulk`, { dispatcher: agent });
  for await (const _ of body);
  const draining = performance.now() - drainStart;
  const mbps = (ms: number): number => Math.round(bulkBytes / 1e6 / (ms / 1000));
  console.log(
    `${bulkBytes / 1024 / 1024} MiB into 4 MiB blobs, each hashed: ${mbps(storing)} MB/s; read and dropped by undici: ${mbps(draining)} MB/s`,
  );
  await adapter.close?.();
  await agent.close();
  child.disconnect();
}
