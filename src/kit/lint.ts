import type { PathSegment } from '../lib/json-path.ts';
import type { ParamsWarning } from '../lib/validation-error.ts';

/** What the workflow puts into a text while it runs; `$${` is literal. */
const inserted = /(?:^|[^$])\$\{[A-Za-z_]/;
/** User and password of a URL, as far as it need be one; the password ends at the last `@` before the host. */
const credentials = /^([a-z][a-z0-9+.-]*):\/\/([^/?#@:]*)(?::([^/?#]*))?@/i;

/** @param remedy what keeps values and text apart there */
export function insertedWarnings(
  text: unknown,
  path: readonly PathSegment[],
  what: string,
  remedy: string,
): ParamsWarning[] {
  if (typeof text !== 'string' || !inserted.test(text)) return [];
  return [
    {
      path,
      message: `\${…} puts a value into the text of ${what}: whoever chooses the value writes a part of it`,
      suggestion: remedy,
    },
  ];
}

/** @param url of a connection; a pointer to a secret is none */
export function passwordWarnings(url: unknown, path: readonly PathSegment[]): ParamsWarning[] {
  const [, scheme = '', user = '', password = ''] = (typeof url === 'string' ? credentials.exec(url) : null) ?? [];
  // With NATS a user alone is a token.
  const secret = password !== '' || (user !== '' && /^(nats|tls)$/i.test(scheme));
  if (!secret) return [];
  return [
    {
      path,
      message: 'the URL holds a secret in plain text, which the journal and bundles of each run then hold, too',
      suggestion: 'Write "vault://NAME" instead of the URL, and keep the URL with "jsonflow vault set NAME".',
    },
  ];
}
