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
  /** What `start` gives, unless the signal aborts before; after that nothing starts. The server ends the command by `maxTimeMS`. */
  wait<T>(start: () => Promise<T>): Promise<T>;
}

/** What commands of one call share: its time ends with the call's, whichever command takes it. */
export function sessionOf(db: Db, codec: Codec, call: Call): Session {
  const { signal, timeoutMs } = call;
  const endMs = performance.now() + timeoutMs;
  return {
    db,
    codec,
    call,
    maxTimeMS: () => Math.round(Math.min(2_147_483_647, Math.max(1, endMs - performance.now()))),
    async wait(start) {
      signal.throwIfAborted();
      const { promise: aborted, reject } = Promise.withResolvers<never>();
      const abort = (): void => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      try {
        return await Promise.race([aborted, start()]);
      } finally {
        signal.removeEventListener('abort', abort);
      }
    },
  };
}
