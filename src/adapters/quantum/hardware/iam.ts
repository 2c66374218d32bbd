import { StepError } from '../../../lib/errors.ts';
import { isObject } from '../../../lib/json.ts';
import { ApiClient, type HttpOptions, RefusedError, saidBy } from './http.ts';

const publicUrl = 'https://iam.cloud.ibm.com/identity/token';
/** Before it runs out it is asked for anew. */
const marginMs = 60_000;

/** An access token of IBM Cloud for an API key, kept as long as it is good. */
export class AccessToken {
  readonly #key: string;
  readonly #iam: ApiClient;
  #current: { token: string; untilMs: number } | undefined;

  constructor(key: string, url: string | undefined, options: HttpOptions) {
    this.#key = key;
    this.#iam = new ApiClient(url ?? publicUrl, 'IBM Cloud', 'iam_url', options);
  }

  /** @throws StepError QUANTUM_UNAUTHORIZED; what requests throw */
  async get(signal: AbortSignal): Promise<string> {
    if (this.#current !== undefined && performance.now() < this.#current.untilMs) return this.#current.token;
    const form = new URLSearchParams({ grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey: this.#key });
    const answer = await this.#iam.call(
      {
        method: 'POST',
        path: '',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: form.toString(),
      },
      signal,
    );
    const { status, body } = answer;
    const said = isObject(body) ? saidBy(body.errorMessage, this.#key) : '';
    // A wrong key is a bad request to it.
    if (status === 400) throw new RefusedError('IBM Cloud', { ...answer, status: 401 }, said);
    if (status !== 200) throw new RefusedError('IBM Cloud', answer, said);
    if (!isObject(body) || typeof body.access_token !== 'string' || typeof body.expires_in !== 'number')
      throw new StepError('QUANTUM_RESPONSE_INVALID', 'IBM Cloud did not answer with an access token');
    const lifeMs = Math.max(0, body.expires_in * 1000 - marginMs);
    this.#current = { token: body.access_token, untilMs: performance.now() + lifeMs };
    return body.access_token;
  }

  /** The token in use, to keep it out of messages; empty without one. */
  get current(): string {
    return this.#current?.token ?? '';
  }

  /** It was refused. @returns whether it was an old one, so that a new one may do */
  forget(): boolean {
    const had = this.#current !== undefined;
    this.#current = undefined;
    return had;
  }
}
