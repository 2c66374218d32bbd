import { readFile } from 'node:fs/promises';

/** A fenced block of a Markdown document. */
export interface Block {
  language: string;
  text: string;
  line: number;
  /** The HTML comment right above it, such as `not run: why`. */
  note: string;
}

/** The fenced blocks of a document, with the comment above each. */
export async function blocksOf(path: URL): Promise<Block[]> {
  const source = await readFile(path, 'utf8');
  const fence = /^(?:<!-- (?<note>[^\n]*) -->\n)?```(?<language>\w*)\n(?<text>.*?)^```$/gms;
  return [...source.matchAll(fence)].map(({ index, groups = {} }) => ({
    language: groups.language ?? '',
    text: groups.text ?? '',
    line: source.slice(0, index).split('\n').length,
    note: groups.note ?? '',
  }));
}

/** What differs from run to run (ids, times, digests) becomes a letter; runs of spaces become one. */
export function normalised(text: string): string {
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'RUN')
    .replace(/[0-9a-f]{12,64}(…?)/g, 'DIGEST$1')
    .replace(/\d+(\.\d+)? (ms|s)\b/g, 'TIME')
    .replace(/ +/g, ' ')
    .trim();
}
