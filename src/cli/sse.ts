import { JSONFlowError } from '../lib/errors.ts';

/** The longest event that is kept in memory. */
const EVENT_LENGTH_MAX = 512 * 1024 * 1024;

/**
 * Takes an event stream (HTML Standard, section 9.2) apart. Only `data` is kept: JSONFlow puts everything into it. Pieces of a
 * line are joined when the line is complete, so that a long event costs no more than its length.
 */
export class ServerSentEvents {
  #pieces: string[] = [];
  #data: string[] = [];
  /** Of all lines since the last event, whether complete or not. */
  #length = 0;
  readonly #lengthMax: number;

  constructor(lengthMax = EVENT_LENGTH_MAX) {
    this.#lengthMax = lengthMax;
  }

  /** The data of the events that the text completes. @throws JSONFlowError LIMIT_EXCEEDED */
  push(text: string): string[] {
    const complete: string[] = [];
    const lines = text.split('\n');
    const rest = lines.pop() ?? '';
    for (const end of lines) {
      this.#count(end);
      const line = [...this.#pieces, end].join('').replace(/\r$/, '');
      this.#pieces = [];
      if (line === '') {
        if (this.#data.length > 0) complete.push(this.#data.join('\n'));
        this.#data = [];
        this.#length = 0;
      } else if (line.startsWith('data:')) this.#data.push(line.slice(line.startsWith('data: ') ? 6 : 5));
    }
    if (rest !== '') this.#pieces.push(rest);
    this.#count(rest);
    return complete;
  }

  #count(text: string): void {
    this.#length += text.length;
    if (this.#length > this.#lengthMax)
      throw new JSONFlowError('LIMIT_EXCEEDED', 'an event of the stream is too long', {
        hint: 'Ask for the result with "jsonflow show".',
      });
  }
}
