/** A number of places that may change; whoever finds none free waits for its turn. */
export class Slots {
  #count: number;
  #taken = 0;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#count = count;
  }

  /** More places serve who waits; with fewer, those that are taken are given back first. */
  resize(count: number): void {
    this.#count = count;
    this.#serve();
  }

  /** Takes a place even where none is free: for what is there already. @returns as `take` */
  force(): () => void {
    this.#taken += 1;
    return this.#giver();
  }

  /** @returns gives the place back; calling it again does nothing @throws the signal's reason */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#taken < this.#count) this.#taken += 1;
    else await this.#turn(signal);
    return this.#giver();
  }

  #giver(): () => void {
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      this.#taken -= 1;
      this.#serve();
    };
  }

  #serve(): void {
    for (const wake of this.#waiting) {
      if (this.#taken >= this.#count) return;
      this.#waiting.delete(wake);
      this.#taken += 1;
      wake();
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(wake);
        reject(signal.reason);
      };
      const wake = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(wake);
    });
  }
}
