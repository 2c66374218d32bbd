export const rightRead = 1n << 1n;
const rightSetFlags = 1n << 3n;
export const rightWrite = 1n << 6n;
const rightStat = 1n << 21n;
const rightPoll = 1n << 27n;

export interface Descriptor {
  kind: 'stdin' | 'stdout' | 'stderr';
  flags: number;
  rights: bigint;
}

/** The open file descriptors: standard input, output and error, and never another. */
export class Descriptors {
  readonly #open = new Map<number, Descriptor>(
    (['stdin', 'stdout', 'stderr'] as const).map((kind, fd) => [
      fd,
      {
        kind,
        flags: 0,
        rights: (kind === 'stdin' ? rightRead : rightWrite) | rightSetFlags | rightStat | rightPoll,
      },
    ]),
  );

  get(fd: number): Descriptor | undefined {
    return this.#open.get(fd);
  }

  close(fd: number): boolean {
    return this.#open.delete(fd);
  }

  /** Both must be open; what `to` stood for is closed. */
  renumber(from: number, to: number): boolean {
    const moved = this.#open.get(from);
    if (moved === undefined || !this.#open.has(to)) return false;
    this.#open.delete(from);
    this.#open.set(to, moved);
    return true;
  }
}
