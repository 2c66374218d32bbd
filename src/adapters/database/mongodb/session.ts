import type { Db } from 'mongodb';
import type { Call } from '../driver.ts';
import type { Codec } from './values.ts';

/** What an operation works with. */
export interface Session {
  db: Db;
  codec: Codec;
  call: Call;
  /** Ms that the server may take for one command from now. */
  maxTimeMS(): number;
  /** What the promise gives, unless the signal aborts before. The server ends the command by `maxTimeMS`. */
  wait<T>(promise: Promise<T>): Promise<T>;
}

export function sessionOf(db: Db, codec: Codec, call: Call): Session {
  const { signal, timeoutMs } = call;
  const endMs = performance.now() + timeoutMs;
  return {
    db,
    codec,
    call,
    maxTimeMS: () => Math.round(Math.min(2_147_483_647, Math.max(1, endMs - performance.now()))),
    async wait(promise) {
      const { promise: aborted, reject } = Promise.withResolvers<never>();
      const abort = (): void => reject(signal.reason);
      if (signal.aborted) abort();
      else signal.addEventListener('abort', abort, { once: true });
      try {
        return await Promise.race([aborted, promise]);
      } finally {
        signal.removeEventListener('abort', abort);
      }
    },
  };
}
