// A process that runs one step and, at a point of it, is no more: kill.test.ts starts it.
import type { WritePoint } from '../../../src/adapters/database/driver.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { Harness } from './harness.ts';

export interface KillOrder {
  url: string;
  type: string;
  params: JSONObject;
  key: string;
  /** Where to end; `never` leaves it to whoever started the process. */
  point: WritePoint | 'never';
  /** The how manieth time. */
  time: number;
}

const order = JSON.parse(process.argv[2] ?? '') as KillOrder;
let left = order.time;
const harness = new Harness(order.url, {
  reached(point) {
    if (point === 'start') process.send?.('start');
    if (point !== order.point) return;
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  },
});
await harness.step(order.type, order.params, { key: order.key });
process.send?.('done');
