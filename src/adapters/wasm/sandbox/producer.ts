/** Where the items of a producer go. */
export interface ProducerTarget<T> {
  /** Items that may be sent before the first `credit()`. */
  credits: number;
  item: (value: T) => void | Promise<void>;
  end: () => void;
  failed: (reason: unknown) => void;
}

/** Pulls items as long as there are credits, and tells the source when nobody wants more. */
export class Producer<T> {
  readonly #target: ProducerTarget<T>;
  readonly #iterator: AsyncIterator<T> | Iterator<T>;
  #credits: number;
  #wake: (() => void) | undefined;
  #isStopped = false;
  #isPulling = false;
  #isDone = false;

  constructor(input: AsyncIterable<T> | Iterable<T>, target: ProducerTarget<T>) {
    this.#target = target;
    this.#credits = target.credits;
    this.#iterator = Symbol.asyncIterator in input ? input[Symbol.asyncIterator]() : input[Symbol.iterator]();
    void this.#run();
  }

  credit(): void {
    this.#credits += 1;
    this.#wake?.();
  }

  /** Ends the source. A source that is busy with an item hears of it after that one, and is not waited for. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake?.();
    if (this.#isDone) return;
    this.#isDone = true;
    // A source that fails as it is told to stop has nothing to say to a reader who has left.
    const ended = Promise.resolve(this.#iterator.return?.()).catch(() => undefined);
    if (!this.#isPulling) await ended;
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        while (this.#credits === 0 && !this.#isStopped) await this.#credited();
        if (this.#isStopped) return;
        this.#credits -= 1;
        this.#isPulling = true;
        const next = await this.#iterator.next();
        this.#isPulling = false;
        if (this.#isStopped) return;
        if (next.done === true) {
          this.#isDone = true;
          return this.#target.end();
        }
        await this.#target.item(next.value);
      }
    } catch (thrown) {
      this.#isPulling = false;
      this.#isDone = true;
      if (!this.#isStopped) this.#target.failed(thrown);
    }
  }

  #credited(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
