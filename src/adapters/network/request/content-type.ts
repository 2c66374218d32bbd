import { TextDecoder } from 'node:util';
/** `text/html` of `Text/HTML; charset=utf-8`; empty where there is none. */
export const essenceOf = (header: string | string[] | undefined): string =>
  (String(header ?? '').split(';', 1)[0] ?? '').trim().toLowerCase();

/** How a body is to be read. */
export type BodyKind = 'json' | 'ndjson' | 'text' | 'bytes' | 'unknown';

const rowTypes = /^application\/(x-ndjson|ndjson|jsonl|x-jsonlines|jsonlines|jsonlines\+json)$/;
const textTypes =
  /^(text\/.*|.*\+xml|application\/(xml|javascript|ecmascript|yaml|x-yaml|graphql|sql|toml|x-www-form-urlencoded))$/;

export function kindOf(type: string): BodyKind {
  if (type === '') return 'unknown';
  if (rowTypes.test(type)) return 'ndjson';
  if (type === 'application/json' || type === 'text/json' || /^[\w.-]+\/[\w.+-]+\+json$/.test(type)) return 'json';
  return textTypes.test(type) ? 'text' : 'bytes';
}

/** Decodes a text, piece by piece. Where the name of the charset is unknown, as UTF-8. */
export function decoderOf(header: string | string[] | undefined): TextDecoder {
  const [, quoted, plain] = /;\s*charset\s*=\s*(?:"([^"]{1,40})"|([^\s;"]{1,40}))/i.exec(String(header ?? '')) ?? [];
  try {
    return new TextDecoder(quoted ?? plain ?? 'utf-8');
  } catch {
    return new TextDecoder();
  }
}
