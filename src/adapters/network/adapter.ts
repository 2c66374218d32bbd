import { StepError } from '../../lib/errors.ts';
import type { JSONObject } from '../../lib/json.ts';
import type { Adapter } from '../../ports/adapter.ts';
import type { Egress } from '../../ports/egress.ts';
import { createHttpClient } from './http/client.ts';
import type { PoolLimits } from './http/pool.ts';
import { lint } from './lint.ts';
import { SchemaCache } from './request/json-schema.ts';
import { networkRequest } from './request/request.ts';
import { stepTypes } from './schemas.ts';
import { networkWebsocket } from './websocket/websocket.ts';

const VERSION = '1.0.0';

export interface NetworkOptions extends PoolLimits {
  egress: Egress;
}

/** The adapter `network`: `network_request`, `network_graphql`, `network_grpc`, `network_websocket`. Params: docs/adapters/network.md. */
export function createNetworkAdapter({ egress, ...limits }: NetworkOptions): Adapter {
  const http = createHttpClient({ egress, ...limits });
  const schemas = new SchemaCache();
  // What a node never uses, it never loads; and a loaded module is at hand, which `import()` alone is not.
  const graphql = once(() => import('./graphql/graphql.ts'));
  const grpc = once(async () => (await import('./grpc/grpc.ts')).createGrpcClient({ egress }));
  return {
    getManifest: () => ({ adapter_id: 'network', version: VERSION, step_types: stepTypes }),
    lint,
    async execute({ type, params }, context): Promise<JSONObject> {
      context.signal.throwIfAborted();
      switch (type) {
        case 'network_request':
          return networkRequest(params, context, { http, schemas });
        case 'network_graphql':
          return (await graphql()).graphqlRequest(params, context, http);
        case 'network_grpc':
          return (await grpc()).call(params, context);
        case 'network_websocket':
          return networkWebsocket(params, context, egress);
        default:
          throw new StepError('INVALID_PARAMS', `the adapter network has no step type "${type}"`);
      }
    },
    healthCheck: () => ({ status: 'ok', timestamp: new Date().toISOString() }),
    async close() {
      await Promise.allSettled([http.close(), grpc.made?.then((client) => client.close())]);
    },
  };
}

interface Once<T> {
  (): Promise<T>;
  /** Undefined until it was asked for. */
  made: Promise<T> | undefined;
}

function once<T>(make: () => Promise<T>): Once<T> {
  const get: Once<T> = Object.assign(
    () => {
      get.made ??= make();
      return get.made;
    },
    { made: undefined },
  );
  return get;
}
