import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the range from which systems take the ports of outgoing connections: those could take a port while its server restarts. */
const LOWEST = 20_000;
const HIGHEST = 32_000;
const TRIES_MAX = 200;

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Different ports that nobody listens on at this moment. By chance, so that two callers at the same time rarely choose the same. */
export async function freePorts(count: number, choose = (): number => randomInt(LOWEST, HIGHEST)): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries++) {
    if (tries >= TRIES_MAX)
      throw new Error(`No free ports found between ${LOWEST} and ${HIGHEST}: too many servers run here.`);
    const port = choose();
    if (!found.has(port) && (await isFree(port))) found.add(port);
  }
  return [...found];
}
