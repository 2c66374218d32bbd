import { createConnection } from 'node:net';
import { StepError } from '../../../lib/errors.ts';
import type { Address } from '../../../ports/egress.ts';
import { reasonOf } from '../reasons.ts';

/** What every NATS server says first. */
const greeting = 'INFO ';

/**
 * Resolves where a NATS server listens. The client itself never lets go of a connection whose other end says nothing: each would stay
 * open for as long as the process lives.
 * @throws StepError CONNECTION_FAILED
 */
export function awaitGreeting(
  { address, family }: Address,
  port: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: address, port, family, timeout: timeoutMs, signal });
    const fail = (why: string) => {
      socket.destroy();
      reject(new StepError('CONNECTION_FAILED', `no connection to NATS: ${why}`, { retryable: true }));
    };
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
      if (!greeting.startsWith(heard.slice(0, greeting.length))) return fail('what answers there is no NATS server');
      if (heard.length < greeting.length) return;
      socket.destroy();
      resolve();
    });
    socket.on('timeout', () => fail('the server says nothing'));
    socket.on('error', ({ code }: NodeJS.ErrnoException) =>
      fail(reasonOf(code)?.why ?? `the connection broke (${code ?? 'no reason given'})`),
    );
    socket.on('end', () => fail('the server closed the connection'));
  });
}
