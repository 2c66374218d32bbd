import { clip } from '../lib/clip.ts';
import { StepError } from '../lib/errors.ts';
import { closest } from '../lib/suggest.ts';

/** The URL of a connection, as far as it may be shown: without credentials and without parameters. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** An `@` behind the host: what was taken for the host may be a part of a password that holds `/`, `?` or `#`. */
const lateAt = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]+[/?#].*@/is;

/** @param name of the param, for the error @throws StepError INVALID_PARAMS, without the text: it may hold a password */
export function parseUrl(text: string, name: string): URL {
  if (lateAt.test(text))
    throw new StepError(
      'INVALID_PARAMS',
      `${name} has an @ behind its host: in a user name or password write @ as %40, / as %2F, ? as %3F and # as %23; in a path or parameter write @ as %40`,
    );
  const url = URL.parse(text);
  if (url !== null) return url;
  throw new StepError(
    'INVALID_PARAMS',
    `${name} is not a URL; special characters of a password must be percent-encoded`,
  );
}

/**
 * Refuses a parameter of a connection's URL that nobody reads: one that is misspelt may have asked for TLS.
 * @param name of the param that holds the URL, for the error @throws StepError INVALID_PARAMS
 */
export function knownParameters(url: URL, known: readonly string[], name: string): void {
  for (const given of url.searchParams.keys()) {
    if (known.includes(given)) continue;
    const meant = closest(given, known);
    const hint = meant === undefined ? '' : `did you mean ${meant}? `;
    throw new StepError(
      'INVALID_PARAMS',
      `${name}: its parameter ${clip(given, 64)} is unknown; ${hint}There are ${known.join(', ')}`,
    );
  }
}
