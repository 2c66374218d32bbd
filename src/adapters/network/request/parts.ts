import type { JSONObject } from '../../../lib/json.ts';
import type { HttpClient, HttpResponse } from '../http/http-client.ts';
import type { SchemaCache } from './json-schema.ts';

/** What a step of this type works with. */
export interface RequestParts {
  http: HttpClient;
  schemas: SchemaCache;
}

/** What an output says of a response besides its body. */
export const headOf = ({ status, headers, url, redirects }: HttpResponse): JSONObject => ({
  status,
  headers,
  url: url.href,
  redirects,
});
