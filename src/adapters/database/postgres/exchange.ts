import type { EventEmitter } from 'node:events';
import type { JSONObject } from '../../../lib/json.ts';

/** What this adapter uses of pg's `Connection`. */
export interface Wire extends EventEmitter {
  readonly stream: { cork(): void; uncork(): void; destroy(): void };
  parse(message: { name: string; text: string }): void;
  bind(message: { statement: string; values: readonly (string | Buffer | null)[] }): void;
  describe(message: { type: 'S'; name: string }): void;
  execute(message: { rows?: number }): void;
  close(message: { type: 'S'; name: string }): void;
  flush(): void;
  sync(): void;
}

export interface FieldDescription {
  name: string;
  dataTypeID: number;
}

/** A statement that the connection has prepared. */
export interface Prepared {
  /** Empty for the one that is replaced by the next. */
  name: string;
  text: string;
  parameters: number[];
  fields: FieldDescription[];
  /** Whether it gave no more than one batch of rows when it was read last. */
  brief?: boolean;
  /** Makes a row of the texts of its cells. */
  row: (cells: (string | null)[]) => JSONObject;
}

/** A statement to run, with its values as the server takes them. */
export interface Run {
  prepared: Prepared;
  values: readonly (string | Buffer | null)[];
}

/** One message exchange as pg's client runs it: it sends, and gets what the server answers until the server is ready again. */
export class Exchange {
  readonly #send: (wire: Wire) => void;
  readonly #on: ExchangeHandlers;
  /** pg sets a callback where there is none. */
  readonly callback = (): void => undefined;
  readonly ended: Promise<void>;
  readonly #resolve: () => void;
  readonly #reject: (thrown: unknown) => void;
  #synced = false;
  #failed: unknown;

  constructor(send: (wire: Wire, sync: () => void) => void, on: ExchangeHandlers = {}) {
    this.#send = (wire) => send(wire, () => this.sync(wire));
    this.#on = on;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  sync(wire: Wire): void {
    if (this.#synced) return;
    this.#synced = true;
    wire.sync();
  }

  submit(wire: Wire): null {
    wire.stream.cork();
    try {
      this.#send(wire);
    } finally {
      wire.stream.uncork();
    }
    return null;
  }

  handleRowDescription({ fields }: { fields: FieldDescription[] }): void {
    this.#on.fields?.(fields);
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    if (this.#failed !== undefined) return;
    try {
      this.#on.row?.(fields);
    } catch (thrown) {
      this.#failed = thrown;
    }
  }

  handlePortalSuspended(wire: Wire): void {
    this.#on.suspended?.(wire);
  }

  handleCommandComplete({ text }: { text: string }, wire: Wire): void {
    this.#on.complete?.(text, wire);
  }

  handleEmptyQuery(wire: Wire): void {
    this.#on.complete?.('', wire);
  }

  handleCopyInResponse(wire: Wire & { sendCopyFail(reason: string): void }): void {
    wire.sendCopyFail('COPY is not supported here');
  }

  handleCopyData(): void {
    this.#failed ??= new Error('COPY is not supported here');
  }

  handleError(thrown: unknown, wire: Wire | undefined): void {
    // The server skips everything until it is told where to go on.
    if (wire !== undefined) this.sync(wire);
    this.#on.end?.();
    this.#reject(thrown);
  }

  handleReadyForQuery(): void {
    this.#on.end?.();
    if (this.#failed === undefined) this.#resolve();
    else this.#reject(this.#failed);
  }
}

export interface ExchangeHandlers {
  fields?(fields: FieldDescription[]): void;
  row?(cells: (string | null)[]): void;
  suspended?(wire: Wire): void;
  complete?(tag: string, wire: Wire): void;
  end?(): void;
}
