import type { Dispatcher } from 'undici';
import { networkError } from './errors.ts';
import type { HttpHeaders } from './http-client.ts';
import { shownOrigin } from './url.ts';

/** Bytes of a body that wait for whoever reads it; then the socket is left alone. */
const waitingBytesMax = 256 * 1024;
/** What is read of an answer that nobody wants, so that its connection can serve again: more, or longer, and it is closed. */
const discardBytesMax = 64 * 1024;
const discardMs = 1000;

export interface RawResponse {
  readonly status: number;
  readonly headers: HttpHeaders;
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives up what was not read. */
  discard(): void;
}

export interface Sending {
  dispatcher: Dispatcher;
  options: Dispatcher.DispatchOptions;
  signal: AbortSignal;
  /** Called when a connection is there and the request is about to be written: from here on it may have been received. */
  onStart(): void;
  /** For errors. */
  url: URL;
}

/**
 * Sends one request. Lighter than undici's `request`, which makes a stream of each body.
 * @throws StepError as `networkError`; the signal's reason
 */
export function dispatch(sending: Sending): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    const exchange = new ExchangeHandler(sending, resolve, reject);
    if (exchange.begin()) sending.dispatcher.dispatch(sending.options, exchange);
  });
}

class ExchangeHandler implements Dispatcher.DispatchHandler, AsyncIterable<Uint8Array> {
  readonly #sending: Sending;
  readonly #resolve: (response: RawResponse) => void;
  readonly #reject: (thrown: unknown) => void;
  #controller: Dispatcher.DispatchController | undefined;
  /** At most some dozens, so that taking the first away costs nothing. */
  #chunks: Uint8Array[] = [];
  #waitingBytes = 0;
  #state: 'open' | 'ended' | 'failed' = 'open';
  #error: unknown;
  #discarded: { bytes: number; timer: NodeJS.Timeout } | undefined;
  #wake: (() => void) | undefined;

  constructor(sending: Sending, resolve: (response: RawResponse) => void, reject: (thrown: unknown) => void) {
    this.#sending = sending;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  begin(): boolean {
    const { signal } = this.#sending;
    if (signal.aborted) this.#fail(signal.reason);
    else signal.addEventListener('abort', this.#onAbort, { once: true });
    return this.#state === 'open';
  }

  readonly #onAbort = (): void => {
    this.#stop(this.#sending.signal.reason);
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It was given up while it waited for a connection.
    if (this.#state !== 'open') controller.abort(asAbortError(this.#error));
    else this.#sending.onStart();
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: Record<string, unknown>): void {
    if (status < 200 || this.#state !== 'open') return;
    this.#resolve({ status, headers: plainHeaders(headers), body: this, discard: () => this.#discard() });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#discarded !== undefined) {
      this.#discarded.bytes += chunk.length;
      if (this.#discarded.bytes > discardBytesMax) this.#stop(new Error('not wanted'));
      return;
    }
    this.#chunks.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes > waitingBytesMax) controller.pause();
    this.#awake();
  }

  onResponseEnd(): void {
    if (this.#state === 'open') this.#state = 'ended';
    this.#settle();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#fail(networkError(error, shownOrigin(this.#sending.url)));
  }

  /** The iterator by hand: a generator takes several turns of the microtask queue for each piece. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    return {
      next: () => this.#next(),
      return: () => {
        this.#discard();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#waitingBytes -= chunk.length;
      if (this.#chunks.length === 0 && this.#controller?.paused === true) this.#controller.resume();
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#state === 'failed') return Promise.reject(this.#error);
    if (this.#state === 'ended' || this.#discarded !== undefined)
      return Promise.resolve({ done: true, value: undefined });
    return new Promise<void>((resolve) => {
      this.#wake = resolve;
    }).then(() => this.#next());
  }

  #discard(): void {
    if (this.#state !== 'open' || this.#discarded !== undefined) return;
    const timer = setTimeout(() => this.#stop(new Error('not wanted')), discardMs);
    timer.unref();
    this.#discarded = { bytes: this.#waitingBytes, timer };
    this.#chunks = [];
    if (this.#waitingBytes > discardBytesMax) this.#stop(new Error('not wanted'));
    else if (this.#controller?.paused === true) this.#controller.resume();
  }

  #stop(reason: unknown): void {
    if (this.#state !== 'open') return;
    this.#fail(reason);
    this.#controller?.abort(asAbortError(reason));
  }

  #fail(reason: unknown): void {
    if (this.#state === 'open') {
      this.#state = 'failed';
      this.#error = reason;
      // Does nothing where the response is there already: then whoever reads its body gets to know.
      this.#reject(reason);
    }
    this.#settle();
  }

  #settle(): void {
    this.#sending.signal.removeEventListener('abort', this.#onAbort);
    if (this.#discarded !== undefined) clearTimeout(this.#discarded.timer);
    this.#awake();
  }

  #awake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

const asAbortError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error('given up'));

function plainHeaders(headers: Record<string, unknown>): HttpHeaders {
  const plain: HttpHeaders = {};
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (value === undefined || name.startsWith(':') || name === '__proto__') continue;
    const values = Array.isArray(value) ? value.map(String) : [String(value)];
    plain[name] = name === 'set-cookie' ? values : values.join(', ');
  }
  return plain;
}
