import { isDeepStrictEqual } from 'node:util';
import type { WebSocket } from 'ws';
import { StepError } from '../../../lib/errors.ts';
import type { JSONValue } from '../../../lib/json.ts';
import { networkError } from '../http/errors.ts';
import { valueAt } from '../path.ts';
import { decodeMessage, type MessageForm } from './message.ts';

/** When there is enough. The first that happens ends it; without any the server does, by closing. */
export interface Collect {
  count: number | undefined;
  until: { path: string; equals: JSONValue } | undefined;
  durationMs: number | undefined;
}

export interface SessionOptions {
  send: readonly (string | Buffer)[];
  /** Whether each message waits for an answer to the one before. */
  waitReply: boolean;
  /** Undefined: nothing is waited for. */
  collect: Collect | undefined;
  form: MessageForm;
  messagesMax: number;
  bytesMax: number;
  pingMs: number;
  /** For errors. */
  where: string;
}

export interface SessionEnd {
  messages: JSONValue[];
  close: { code: number; reason: string; by: 'client' | 'server' };
}

/** How long the peer may take to answer the close. */
const closeMs = 1000;

/** One conversation over an open or opening WebSocket. */
export class Session {
  readonly #socket: WebSocket;
  readonly #options: SessionOptions;
  readonly #end = Promise.withResolvers<'client' | 'server'>();
  readonly #closed = Promise.withResolvers<{ code: number; reason: string }>();
  readonly #messages: JSONValue[] = [];
  #bytes = 0;
  #sentCount = 0;
  #sentAll = false;
  /** Enough has been collected; what comes now is not looked at. */
  #enough = false;
  #reply: (() => void) | undefined;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(socket: WebSocket, options: SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#end.promise.catch(() => undefined);
    socket.on('open', () => this.#open());
    socket.on('message', (data, isBinary) => this.#take(data as Buffer, isBinary));
    socket.on('close', (code, reason) => this.#onClose(code, reason.toString()));
    socket.on('error', (thrown: Error) => this.fail(this.#errorOf(thrown)));
    socket.on('unexpected-response', (request, { statusCode }) => {
      request.destroy();
      const again = statusCode === 429 || (statusCode !== undefined && statusCode >= 500);
      this.fail(
        new StepError('HTTP_STATUS', `${options.where} answered ${statusCode} instead of opening a WebSocket`, {
          retryable: again,
        }),
      );
    });
  }

  /** Whether anything was sent that the server may have acted on. */
  get sent(): boolean {
    return this.#sentCount > 0;
  }

  /** Ends it at once. */
  fail(reason: unknown): void {
    this.#end.reject(reason);
  }

  /** Resolves when it has ended and is closed. @throws what it failed with */
  async run(): Promise<SessionEnd> {
    try {
      const by = await this.#end.promise;
      if (by === 'client') this.#socket.close(1000);
      const timer = setTimeout(() => this.#socket.terminate(), closeMs);
      const close = await this.#closed.promise;
      clearTimeout(timer);
      return { messages: this.#messages, close: { ...close, by } };
    } finally {
      for (const timer of this.#timers) clearInterval(timer);
      this.#enough = true;
      this.#socket.terminate();
    }
  }

  #open(): void {
    const { collect, pingMs } = this.#options;
    this.#keepAlive(pingMs);
    if (collect?.durationMs !== undefined) this.#timers.push(setTimeout(() => this.#has(), collect.durationMs));
    this.#sendAll().catch((thrown) => this.fail(this.#errorOf(thrown)));
  }

  /** Breaks the connection off where nothing, not even an answer to a ping, came since the last ping. */
  #keepAlive(pingMs: number): void {
    let alive = true;
    const live = (): void => {
      alive = true;
    };
    this.#socket.on('pong', live).on('message', live);
    this.#timers.push(
      setInterval(() => {
        if (!alive)
          return this.fail(
            new StepError('CONNECTION_FAILED', `${this.#options.where} has not answered a ping for ${pingMs} ms`, {
              retryable: true,
            }),
          );
        alive = false;
        this.#socket.ping();
      }, pingMs),
    );
  }

  async #sendAll(): Promise<void> {
    const { send, waitReply, collect } = this.#options;
    for (const [index, message] of send.entries()) {
      const replied = waitReply && index < send.length - 1 ? this.#nextReply() : undefined;
      this.#sentCount += 1;
      await new Promise<void>((resolve, reject) => {
        this.#socket.send(message, (error) => (error ? reject(error) : resolve()));
      });
      await replied;
    }
    this.#sentAll = true;
    if (collect === undefined || this.#enough) this.#end.resolve('client');
  }

  #nextReply(): Promise<void> {
    return new Promise((resolve) => {
      this.#reply = resolve;
    });
  }

  #take(data: Buffer, isBinary: boolean): void {
    const { messagesMax, bytesMax, form, collect } = this.#options;
    this.#reply?.();
    if (this.#enough || collect === undefined) return;
    this.#bytes += data.length;
    if (this.#messages.length >= messagesMax || this.#bytes > bytesMax)
      return this.fail(
        new StepError(
          'RESPONSE_TOO_LARGE',
          `more than ${messagesMax} messages (options.max_messages) or ${bytesMax} bytes (options.max_bytes) came`,
        ),
      );
    let message: JSONValue;
    try {
      message = decodeMessage(data, isBinary, form, this.#messages.length);
    } catch (thrown) {
      return this.fail(thrown);
    }
    this.#messages.push(message);
    const { until, count } = collect;
    const met = until !== undefined && isDeepStrictEqual(valueAt(message, until.path), until.equals);
    if (met || (count !== undefined && this.#messages.length >= count)) this.#has();
  }

  #has(): void {
    this.#enough = true;
    if (this.#sentAll) this.#end.resolve('client');
  }

  #onClose(code: number, reason: string): void {
    this.#closed.resolve({ code, reason });
    const { collect, where, send } = this.#options;
    const wants = collect?.count !== undefined || collect?.until !== undefined;
    if (!this.#sentAll || (wants && !this.#enough))
      return this.fail(
        new StepError(
          code === 1006 ? 'CONNECTION_FAILED' : 'EXPECTATION_FAILED',
          `${where} closed the connection with code ${code} after ${this.#sentCount} of ${send.length} messages to it and ${this.#messages.length} from it`,
          { retryable: code === 1006 || code === 1001 || code === 1012 || code === 1013 },
        ),
      );
    if (code === 1006)
      return this.fail(new StepError('CONNECTION_FAILED', `the connection to ${where} broke`, { retryable: true }));
    this.#end.resolve('server');
  }

  #errorOf(thrown: unknown): unknown {
    const { code } = thrown as { code?: unknown };
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' || code === 'WS_ERR_TOO_MANY_BUFFERED_PARTS')
      return new StepError('RESPONSE_TOO_LARGE', 'a message is larger than options.max_message_bytes');
    if (typeof code === 'string' && /^(WS_ERR_|HPE_|Z_)/.test(code))
      return new StepError('RESPONSE_INVALID', `${this.#options.where} does not keep to the protocol (${code})`);
    if (code === undefined && thrown instanceof Error && !(thrown instanceof StepError))
      return new StepError('RESPONSE_INVALID', `${this.#options.where} did not open a sound WebSocket`, {
        cause: thrown,
      });
    return networkError(thrown, this.#options.where);
  }
}
