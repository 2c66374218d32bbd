import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bundle, TrustFile } from '../../src/protocol/receipt.ts';
import type { DistributedResult } from '../../src/protocol/result.ts';

/** How long a client goes on trying while the coordinator is away. */
const triesMax = 2_000;
const pauseMs = 25;

/** A client of the HTTP API that does what clients should: tries again with the same key, and follows the events of its run. */
export class Client {
  readonly #base: string;
  readonly #signal: AbortSignal;

  /** @param signal ends every try where the test has failed */
  constructor(base: string, signal: AbortSignal = new AbortController().signal) {
    this.#base = base;
    this.#signal = signal;
  }

  #fetch(path: string, init: RequestInit = {}): Promise<Response> {
    this.#signal.throwIfAborted();
    return fetch(`${this.#base}${path}`, { ...init, signal: this.#signal });
  }

  /** Goes on until there is an answer that is not "not now". */
  async #request(path: string, init?: RequestInit): Promise<unknown> {
    let last: unknown;
    for (let tries = 0; tries < triesMax; tries++) {
      try {
        const response = await this.#fetch(path, init);
        const body = (await response.json()) as unknown;
        if (response.ok) return body;
        if (response.status !== 503 && response.status !== 429)
          throw Object.assign(new Error(`${path}: ${response.status} ${JSON.stringify(body)}`), { final: true });
        last = body;
      } catch (thrown) {
        if (thrown instanceof Error && 'final' in thrown) throw thrown;
        last = thrown;
      }
      await delay(pauseMs, undefined, { signal: this.#signal });
    }
    throw new Error(`${path}: no answer; the last was ${String(last)}`);
  }

  async submit(workflow: unknown, input: unknown, key: string): Promise<string> {
    const headers = { 'content-type': 'application/json', 'idempotency-key': key };
    const body = JSON.stringify({ workflow, input });
    const { run_id } = (await this.#request('/api/v1/runs', { method: 'POST', headers, body })) as { run_id: string };
    return run_id;
  }

  result(runId: string): Promise<DistributedResult> {
    return this.#request(`/api/v1/runs/${runId}`) as Promise<DistributedResult>;
  }

  runs(query: { status: string; limit: number }): Promise<{ runs: { run_id: string }[] }> {
    return this.#request(`/api/v1/runs?status=${query.status}&limit=${query.limit}`) as Promise<{
      runs: { run_id: string }[];
    }>;
  }

  bundle(runId: string): Promise<Bundle> {
    return this.#request(`/api/v1/runs/${runId}/bundle`) as Promise<Bundle>;
  }

  trust(): Promise<TrustFile> {
    return this.#request('/api/v1/keys') as Promise<TrustFile>;
  }

  /** Follows the run's events until `done` says so, or the run has ended; comes back where the stream breaks. */
  async follow(runId: string, done: (text: string) => boolean = () => false): Promise<void> {
    for (let tries = 0; tries < triesMax; tries++) {
      let text = '';
      try {
        const response = await this.#fetch(`/api/v1/runs/${runId}/events`, {
          headers: { accept: 'text/event-stream' },
        });
        assert.ok(response.body !== null);
        const decoder = new TextDecoder();
        for await (const chunk of response.body) {
          text += decoder.decode(chunk, { stream: true });
          if (done(text) || text.includes('"kind":"run.completed"')) return;
        }
      } catch {
        // The coordinator is gone; it will be back.
      }
      await delay(pauseMs, undefined, { signal: this.#signal });
    }
    throw new Error(`run ${runId} did not come to that`);
  }

  async ended(runId: string): Promise<DistributedResult> {
    await this.follow(runId);
    return this.result(runId);
  }
}
