import http from 'node:http';
import https from 'node:https';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { CoordinatorApi } from '../engine/api.ts';
import { namePattern } from '../protocol/workflow.ts';
import { type AccessOptions, accessControl } from './access.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { HttpProblem, problemResponse } from './problem.ts';
import { clientOf, type RateLimitOptions, rateLimiter } from './rate-limit.ts';
import type { Route, RouteContext } from './route.ts';
import { routes } from './routes.ts';
import { queryOf } from './validation.ts';

export interface HttpServerOptions {
  api: CoordinatorApi;
  /** PEM. With `ca` every client must show a certificate that it signed. */
  tls?: { cert: string | Buffer; key: string | Buffer; ca?: string | Buffer };
  /** Default: no tokens, open to loopback only. */
  access?: AccessOptions;
  /** Per client address. `false` switches it off. */
  rateLimit?: RateLimitOptions | false;
  /** Default: new ones. Give the same here and to the engine's events. */
  metrics?: Metrics;
  /** Event streams at a time. Default 1000. */
  streamsMax?: number;
}

type Env = { Bindings: HttpBindings };

/** Connections, of workers too, that the server holds at a time. */
const CONNECTIONS_MAX = 20_000;

/** The API as a Hono application, for a server that is made elsewhere. `closing` ends its event streams. */
function createHttpApp(options: HttpServerOptions, closing: AbortSignal): Hono<Env> {
  const { api, streamsMax = 1000 } = options;
  const metrics = options.metrics ?? createMetrics(api);
  const admit = accessControl(options.access);
  const limit = options.rateLimit === false ? () => 0 : rateLimiter(options.rateLimit);
  let streams = 0;
  const context: RouteContext = {
    api,
    metrics,
    closing,
    takeStream() {
      if (streams >= streamsMax)
        throw new HttpProblem('OVERLOADED', `${streamsMax} event streams are open already`, {
          hint: 'Close one, or ask for the result instead.',
        });
      streams += 1;
      let taken = true;
      return () => {
        if (taken) streams -= 1;
        taken = false;
      };
    },
  };

  const answer = async (route: Route, c: Context<Env>): Promise<Response> => {
    const header = (name: string): string | undefined => c.req.raw.headers.get(name) ?? undefined;
    try {
      const address = c.env.incoming.socket.remoteAddress ?? '';
      if (route.open !== true) {
        const waitSeconds = limit(clientOf(address));
        if (waitSeconds > 0)
          throw new HttpProblem('RATE_LIMITED', 'this client sends too many requests', {
            hint: `Wait ${waitSeconds} s.`,
            headers: { 'retry-after': String(waitSeconds) },
          });
        admit({ address, header });
      }
      // The URL of a hostile Host header need not parse: only the request line counts here.
      const search = /\?([^#]*)/.exec(c.env.incoming.url ?? '')?.[1] ?? '';
      const query = queryOf(new URLSearchParams(search), route.query);
      return await route.handle(context, { request: c.req.raw, runId: runIdOf(c), query, header });
    } catch (error) {
      return problemResponse(error);
    }
  };

  const app = new Hono<Env>();
  const paths = Map.groupBy(routes, (route) => route.path);
  for (const [path, ofPath] of paths)
    app.all(path.replace('{run_id}', ':run_id'), async (c) => {
      const method = c.req.method === 'HEAD' ? 'GET' : c.req.method;
      const route = ofPath.find((one) => one.method === method);
      const start = performance.now();
      const response = route === undefined ? problemResponse(wrongMethod(ofPath)) : await answer(route, c);
      // A method is the client's text: unknown ones count as one, so that no client can grow the metrics.
      metrics.requestEnded(path, route?.method ?? 'other', response.status, performance.now() - start);
      return withSafeHeaders(c.req.method === 'HEAD' ? await headOf(response) : response);
    });
  app.notFound(() => withSafeHeaders(problemResponse(noSuchPath())));
  app.onError((error) => withSafeHeaders(problemResponse(error)));
  return app;
}

const noSuchPath = (): HttpProblem =>
  new HttpProblem('NOT_FOUND', 'there is nothing under this path', {
    hint: 'See /api/openapi.json for what there is.',
  });

const wrongMethod = (ofPath: readonly Route[]): HttpProblem => {
  const allowed = ofPath.map(({ method }) => method).join(', ');
  return new HttpProblem('METHOD_NOT_ALLOWED', `this path answers ${allowed} only`, { headers: { allow: allowed } });
};

const isName = new RegExp(namePattern);

function runIdOf(c: Context<Env>): string {
  const runId = c.req.param('run_id');
  if (runId === undefined) return '';
  if (!isName.test(runId))
    throw new HttpProblem('NOT_FOUND', 'this is not the id of a run', { hint: 'See GET /api/v1/runs.' });
  return runId;
}

/** The answer to HEAD. Nobody reads its body, so that an event stream would keep its place for ever. */
async function headOf(response: Response): Promise<Response> {
  await response.body?.cancel();
  return new Response(null, response);
}

function withSafeHeaders(response: Response): Response {
  response.headers.set('x-content-type-options', 'nosniff');
  response.headers.set('cache-control', 'no-store');
  return response;
}

/**
 * The HTTP API as a Node server that does not listen yet: call `listen`. It has no `upgrade` listener of its own, so that a
 * WebSocket transport can share the port. `close` is graceful: event streams end, idle connections are dropped, and requests
 * under way get their answer.
 *
 * @example
 * const server = createHttpServer({ api });
 * server.listen(8080, '127.0.0.1');
 */
export function createHttpServer(options: HttpServerOptions): http.Server | https.Server {
  const closing = new AbortController();
  const app = createHttpApp(options, closing.signal);
  const common = {
    requestTimeout: 120_000,
    headersTimeout: 20_000,
    keepAliveTimeout: 10_000,
    maxHeaderSize: 32 * 1024,
    // Else Node hands every offer to the transport that shares the port, such as the h2c of curl --http2, and the API never
    // sees the request. Node before 24.9 does not know the option: there the transport refuses such a request.
    shouldUpgradeCallback: (request: http.IncomingMessage): boolean =>
      server.listenerCount('upgrade') > 0 && request.headers.upgrade?.trim().toLowerCase() === 'websocket',
  };
  const { tls } = options;
  const server: http.Server | https.Server = (
    tls === undefined
      ? createAdaptorServer({ fetch: app.fetch, createServer: http.createServer, serverOptions: common })
      : createAdaptorServer({
          fetch: app.fetch,
          createServer: https.createServer,
          serverOptions: {
            ...common,
            cert: tls.cert,
            key: tls.key,
            minVersion: 'TLSv1.3',
            ...(tls.ca === undefined ? {} : { ca: tls.ca, requestCert: true, rejectUnauthorized: true }),
          },
        })
  ) as http.Server | https.Server;
  server.maxConnections = CONNECTIONS_MAX;
  const close = server.close.bind(server);
  server.close = (callback) => {
    closing.abort();
    close(callback);
    server.closeIdleConnections();
    return server;
  };
  return server;
}
