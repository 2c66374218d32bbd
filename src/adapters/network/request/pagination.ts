import { RowSink } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { HttpRequest, HttpResponse } from '../http/http-client.ts';
import { httpOptionsOf, numberOr } from '../http/options.ts';
import { readJSON } from '../http/read.ts';
import { httpSchemes, readUrl, requireUrl } from '../http/url.ts';
import { valueAt } from '../path.ts';
import { checkBody, checkHead } from './expect.ts';
import { linkTo } from './link-header.ts';
import { headOf, type RequestParts } from './parts.ts';

const pageBytesMax = 64 * 1024 * 1024;
const pagesMaxDefault = 100;
const itemsMaxDefault = 1_000_000;

/** A page as it was read: what stands in the output of the last one, and what leads to the next. */
interface Page {
  head: JSONObject;
  items: JSONValue[];
  next: Partial<HttpRequest> | undefined;
}

/** Asks for page after page, and gives the items of all. One time-out is for all of it. */
export async function paginate(
  params: JSONObject,
  first: HttpRequest,
  context: AdapterContext,
  parts: RequestParts,
): Promise<JSONObject> {
  const { max_pages, max_items } = params.pagination as JSONObject;
  const pagesMax = numberOr(max_pages, pagesMaxDefault);
  const itemsMax = numberOr(max_items, itemsMaxDefault);
  const endMs = Date.now() + httpOptionsOf(first.options).timeoutMs;
  const sink = new RowSink(context);
  const pager = new Pager(params, first, context.idempotency_key);
  let request: HttpRequest | undefined = pager.begin();
  let head: JSONObject = {};
  let pages = 0;
  while (request !== undefined && pages < pagesMax && sink.count < itemsMax) {
    const timeout = Math.max(1, endMs - Date.now());
    const limited = { ...request, options: { ...request.options, timeout } };
    const page: Page = await parts.http.exchange(limited, context, (response) =>
      readPage(response, params, parts, pager),
    );
    pages += 1;
    head = page.head;
    // Rows in the form of the kit: items may be any JSON.
    await sink.add(page.items.slice(0, itemsMax - sink.count) as JSONObject[]);
    context.progress(null, `${pages} pages, ${sink.count} items`);
    request = page.next === undefined ? undefined : pager.follow(page.next, pages);
  }
  const rows = await sink.end();
  const result = ('stored' in rows ? rows.stored : rows.rows) as unknown as JSONValue;
  return { ...head, body: result, pages, item_count: rows.row_count, complete: request === undefined, result };
}

async function readPage(
  response: HttpResponse,
  params: JSONObject,
  { schemas }: RequestParts,
  pager: Pager,
): Promise<Page> {
  const expect = isObject(params.expect) ? (params.expect as JSONObject) : {};
  checkHead(response, expect, params.options as JSONObject | undefined);
  const body = await readJSON(response, pageBytesMax);
  await checkBody(body, expect, schemas);
  const { items: path } = params.pagination as JSONObject;
  const items = valueAt(body, typeof path === 'string' ? path : '');
  if (!Array.isArray(items))
    throw new StepError(
      'RESPONSE_INVALID',
      'a page has no list where pagination.items says; leave it out where the page itself is the list',
    );
  return { head: headOf(response), items, next: pager.nextOf(response, body, items) };
}

/** Knows the way from one page to the next. */
class Pager {
  readonly #next: JSONObject;
  readonly #first: HttpRequest;
  readonly #origin: string;
  readonly #key: string;
  readonly #seen = new Set<string>();
  #offset: number;

  constructor(params: JSONObject, first: HttpRequest, key: string) {
    this.#key = key;
    this.#next = (params.pagination as JSONObject).next as JSONObject;
    this.#first = first;
    this.#origin = requireUrl(first.url, httpSchemes, 'url').origin;
    this.#offset = numberOr(this.#next.start, this.#next.page === undefined ? 0 : 1);
  }

  begin(): HttpRequest {
    const name = this.#next.page ?? this.#next.offset;
    return name === undefined ? this.#first : { ...this.#first, ...this.#withParam(String(name), this.#offset) };
  }

  follow(next: Partial<HttpRequest>, page: number): HttpRequest {
    return { ...this.#first, ...next, idempotencyKey: `${this.#key}/${page}`, trustedOrigin: this.#origin };
  }

  /** @throws StepError RESPONSE_INVALID where a page leads to one that was there already */
  nextOf(
    { headers, url }: HttpResponse,
    body: JSONValue,
    items: readonly JSONValue[],
  ): Partial<HttpRequest> | undefined {
    const { link, url: path, cursor, param, page, offset } = this.#next;
    if (typeof link === 'string') return this.#toUrl(linkTo(headers.link, link), url);
    if (typeof path === 'string') return this.#toUrl(valueAt(body, path), url);
    if (typeof cursor === 'string') {
      const value = valueAt(body, cursor);
      if (value === undefined || value === null || value === '' || value === false) return undefined;
      if (typeof value === 'object') throw invalid('the cursor of a page is neither a text nor a number');
      this.#notSeen(String(value));
      return this.#withParam(String(param ?? 'cursor'), value);
    }
    if (items.length === 0) return undefined;
    this.#offset += page === undefined ? items.length : 1;
    return this.#withParam(String(page ?? offset), this.#offset);
  }

  #toUrl(text: JSONValue | undefined, base: URL): Partial<HttpRequest> | undefined {
    if (text === undefined || text === null || text === '') return undefined;
    const parsed = typeof text === 'string' ? readUrl(text, httpSchemes, base) : { problem: 'it is not a text' };
    if ('problem' in parsed) throw invalid(`the link to the next page is not followed: ${parsed.problem}`);
    this.#notSeen(parsed.url.href);
    return { url: parsed.url.href, query: undefined };
  }

  #withParam(name: string, value: JSONValue): Partial<HttpRequest> {
    return { query: { ...this.#first.query, [name]: value } };
  }

  #notSeen(what: string): void {
    if (this.#seen.has(what)) throw invalid('a page leads to one that was there already');
    this.#seen.add(what);
  }
}

const invalid = (message: string): StepError => new StepError('RESPONSE_INVALID', message);
