import { JSONFlowError } from '../../lib/errors.ts';
import type { Connection, Listener, Transport } from '../../ports/transport.ts';
import { failures } from '../failures.ts';
import { memoryPair } from './memory-connection.ts';

export interface MemoryTransportOptions {
  /** Name of the first listener: it is reached at `memory://<name>`. Default `coordinator`; later ones get `-2`, `-3` and so on. */
  name?: string;
}

const scheme = 'memory://';

/**
 * A network inside one process: whoever shares the instance can connect. Packets travel by reference, so neither sender nor
 * receiver may change them afterwards. They arrive in order from a microtask, all of one turn together; there are no timers, so a
 * run under a seeded simulator repeats exactly.
 *
 * @example
 * const transport = memoryTransport();
 * const listener = await transport.listen((connection) => connection.onPacket(console.log));
 * const connection = await transport.connect(listener.url); // memory://coordinator
 */
export function memoryTransport(options: MemoryTransportOptions = {}): Transport {
  const listeners = new Map<string, MemoryListener>();
  let clients = 0;

  const freeUrl = (): string => {
    const first = scheme + (options.name ?? 'coordinator');
    if (!listeners.has(first)) return first;
    for (let n = 2; ; n++) if (!listeners.has(`${first}-${n}`)) return `${first}-${n}`;
  };

  return {
    async listen(accept) {
      const listener = new MemoryListener(freeUrl(), accept, () => listeners.delete(listener.url));
      listeners.set(listener.url, listener);
      return listener;
    },

    async connect(url, { signal } = {}) {
      signal?.throwIfAborted();
      const listener = listeners.get(url);
      if (listener === undefined) throw unreachableUrl(url);
      return listener.connect(`${scheme}client-${++clients}`);
    },
  };
}

function unreachableUrl(url: string): JSONFlowError {
  const wrong = !url.startsWith(scheme);
  return new JSONFlowError('NODE_UNREACHABLE', `nothing listens at ${url} in this process`, {
    hint: wrong ? `Use an address that starts with ${scheme}.` : 'Start the listener first, on the same transport.',
    retriable: !wrong,
  });
}

class MemoryListener implements Listener {
  readonly url: string;
  readonly #accept: (connection: Connection) => void;
  readonly #closed: () => void;
  readonly #connections = new Set<Connection>();
  #ended: Promise<void> | undefined;

  constructor(url: string, accept: (connection: Connection) => void, closed: () => void) {
    this.url = url;
    this.#accept = accept;
    this.#closed = closed;
  }

  connect(peer: string): Connection {
    const [near, far] = memoryPair(this.url, peer);
    this.#connections.add(far);
    far.onClose(() => this.#connections.delete(far));
    try {
      this.#accept(far);
    } catch (thrown) {
      far.destroy(failures.receiver(thrown));
    }
    return near;
  }

  close(): Promise<void> {
    this.#closed();
    this.#ended ??= Promise.all(
      [...this.#connections].map((connection) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        connection.onClose(() => resolve());
        connection.close();
        return promise;
      }),
    ).then(() => {});
    return this.#ended;
  }
}
