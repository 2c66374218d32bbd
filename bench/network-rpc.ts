// network_grpc beside bare grpc-js with a deadline, in one run, against a server in another process.
// Options: --seconds N
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import {
  type Client,
  credentials,
  loadPackageDefinition,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { createGrpcClient } from '../src/adapters/network/grpc/grpc.ts';
import { createEgress } from '../src/egress/egress.ts';
import type { JSONObject } from '../src/lib/json.ts';
import { contextFor } from '../test/compliance/adapter.ts';
import { loadProto, startGrpcServer } from '../test/support/grpc-server.ts';
import { shopProto } from '../test/support/shop-proto.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '5' }, serve: { type: 'boolean', default: false } },
});
const seconds = Number(values.seconds);
const streamLength = 20_000;
const order = { id: 'order-1', total_cents: '1250', lines: [{ sku: 'tea', quantity: 3 }] };

if (values.serve) {
  const { port } = await startGrpcServer({
    proto: shopProto,
    services: {
      'shop.v1.Orders': {
        Get: (_: ServerUnaryCall<object, object>, done: sendUnaryData<object>) => done(null, order),
        async Watch(call: ServerWritableStream<{ count: number }, object>) {
          for (let index = 0; index < call.request.count; index += 1) if (!call.write(order)) await once(call, 'drain');
          call.end();
        },
      },
    },
  });
  console.log(port);
} else await measure();

async function measure(): Promise<void> {
  const child = spawn(process.execPath, [import.meta.filename, '--serve'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(createInterface(child.stdout), 'line')) as [string];
  const bare = bareClient(port);
  const ours = createGrpcClient({ egress: createEgress({ allow: ['127.0.0.0/8'] }) });
  const context = contextFor({ id: 'bench', type: 'network_grpc', params: {} });
  const params: JSONObject = { url: `127.0.0.1:${port}`, service: 'shop.v1.Orders', proto: shopProto };
  const unaryOfOurs = () => ours.call({ ...params, method: 'Get', message: { id: 'order-1' } }, context);
  try {
    for (const concurrency of [1, 32]) {
      const rates = await inTurns(concurrency, bare.unary, unaryOfOurs);
      report(`unary, ${concurrency} at once, calls`, rates);
    }
    const streamOfOurs = () => ours.call({ ...params, method: 'Watch', message: { count: streamLength } }, context);
    report('server stream, messages', await inTurns(1, bare.stream, streamOfOurs), streamLength);
  } finally {
    await ours.close();
    bare.client.close();
    child.kill('SIGKILL');
  }
}

function bareClient(port: string) {
  const loaded = loadPackageDefinition(loadProto(shopProto)) as unknown as {
    shop: {
      v1: {
        Orders: new (
          ...args: ConstructorParameters<typeof Client>
        ) => Client & Record<'Get' | 'Watch', (...args: unknown[]) => unknown>;
      };
    };
  };
  const client = new loaded.shop.v1.Orders(`127.0.0.1:${port}`, credentials.createInsecure());
  return {
    client,
    unary: () =>
      new Promise<unknown>((resolve, reject) => {
        client.Get({ id: 'order-1' }, { deadline: Date.now() + 30_000 }, (error: Error | null, value: unknown) =>
          error === null ? resolve(value) : reject(error),
        );
      }),
    async stream() {
      const messages: unknown[] = [];
      for await (const message of client.Watch({ count: streamLength }) as AsyncIterable<unknown>)
        messages.push(message);
      return messages;
    },
  };
}

/** Rates of two ways to do the same, by turns, so that both see the same machine. */
async function inTurns(
  concurrency: number,
  first: () => Promise<unknown>,
  second: () => Promise<unknown>,
): Promise<[Rate, Rate]> {
  const turns = 6;
  await rate(concurrency, first, 0.5);
  await rate(concurrency, second, 0.5);
  const rates: [Rate[], Rate[]] = [[], []];
  for (let turn = 0; turn < turns; turn += 1) {
    rates[0].push(await rate(concurrency, first, seconds / turns));
    rates[1].push(await rate(concurrency, second, seconds / turns));
  }
  return [mean(rates[0]), mean(rates[1])];
}

/** Calls per second, and processor time of this process for each call: the second says more on a machine that others use, too. */
interface Rate {
  perSecond: number;
  cpuUs: number;
}

async function rate(concurrency: number, call: () => Promise<unknown>, forSeconds: number): Promise<Rate> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + forSeconds * 1000;
  let done = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() < end) {
      await call();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (done * 1000) / (performance.now() - start), cpuUs: (user + system) / done };
}

function report(what: string, [bare, ours]: [Rate, Rate], each = 1): void {
  const text = ({ perSecond, cpuUs }: Rate) =>
    `${Math.round(perSecond * each)}/s (${(cpuUs / each).toFixed(1)} µs of processor time each)`;
  const ratios = `${(ours.perSecond / bare.perSecond).toFixed(2)} of the rate, ${(bare.cpuUs / ours.cpuUs).toFixed(2)} by processor time`;
  console.log(`${what}: bare grpc-js ${text(bare)}, network_grpc ${text(ours)}: ${ratios}`);
}

function mean(rates: readonly Rate[]): Rate {
  const of = (part: (rate: Rate) => number): number => rates.reduce((sum, one) => sum + part(one), 0) / rates.length;
  return { perSecond: of((one) => one.perSecond), cpuUs: of((one) => one.cpuUs) };
}
