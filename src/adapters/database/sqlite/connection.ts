import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SqlFailure } from '../errors.ts';
import { sqliteFailure } from './failure.ts';
import type { ChildAnswer, ChildRequest } from './messages.ts';

const program = fileURLToPath(new URL(`./child${extname(import.meta.filename)}`, import.meta.url));

export type Answer = ChildAnswer & { ok: true };

/** A connection in a process of its own, which answers one request after the other, and can be killed within any of them. */
export class SqliteConnection {
  readonly #child: ChildProcess;
  #waiting: PromiseWithResolvers<Answer> | undefined;
  #broken = false;
  #inTransaction = false;
  /** Whether the author's SQL may have changed what only this connection has, such as its settings. */
  touched = false;
  readonly #exited: Promise<void>;

  constructor() {
    this.#child = fork(program, [], {
      execArgv: ['--no-warnings'],
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    this.#child.on('message', (answer: ChildAnswer) => this.#take(answer));
    this.#child.on('error', () => this.#lost());
    this.#child.once('exit', () => this.#lost());
    this.#rest();
  }

  get usable(): boolean {
    return !this.#broken && this.#waiting === undefined && !this.#inTransaction;
  }

  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /** @throws SqlFailure */
  async ask(request: ChildRequest): Promise<Answer> {
    if (this.#broken) throw lost();
    while (this.#waiting !== undefined) await this.#waiting.promise.catch(() => undefined);
    if (this.#broken) throw lost();
    const waiting = Promise.withResolvers<Answer>();
    this.#waiting = waiting;
    this.#child.ref();
    this.#child.channel?.ref();
    this.#child.send(request, (error) => {
      if (error !== null) this.#lost();
    });
    return waiting.promise;
  }

  destroy(): void {
    this.#broken = true;
    this.#child.kill('SIGKILL');
  }

  async end(): Promise<void> {
    this.#broken = true;
    // Nothing is under way, so there is nothing to lose; the file is closed with the process.
    this.#child.ref();
    if (this.#child.connected) this.#child.disconnect();
    await this.#exited;
  }

  /** A new process is the surest way to what a connection begins with. */
  async tidy(): Promise<void> {
    if (this.touched) this.destroy();
  }

  async cancel(): Promise<void> {
    this.#child.ref();
    this.destroy();
    await this.#exited;
  }

  #take(answer: ChildAnswer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    this.#rest();
    if (answer.ok) {
      this.#inTransaction = answer.inTransaction;
      waiting?.resolve(answer);
      return;
    }
    const failure = sqliteFailure(answer.code, answer.message);
    if (failure.broken) this.#broken = true;
    waiting?.reject(failure);
  }

  #lost(): void {
    this.#broken = true;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(lost());
  }

  /** An idle connection must not keep the node's process alive. */
  #rest(): void {
    this.#child.unref();
    this.#child.channel?.unref();
  }
}

const lost = (): SqlFailure =>
  new SqlFailure('CONNECTION_FAILED', 'the process of the SQLite connection has ended', {
    retryable: true,
    broken: true,
  });
