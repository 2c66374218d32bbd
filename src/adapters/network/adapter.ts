import { StepError } from '../../lib/errors.ts';
import type { JSONObject } from '../../lib/json.ts';
import type { Adapter, AdapterContext } from '../../ports/adapter.ts';
import type { Egress } from '../../ports/egress.ts';
import { createHttpClient } from './http/client.ts';
import type { PoolLimits } from './http/pool.ts';
import { SchemaCache } from './request/json-schema.ts';
import { stepTypes } from './schemas.ts';

const VERSION = '1.0.0';

export interface NetworkOptions extends PoolLimits {
  egress: Egress;
}

interface Grpc {
  call(params: JSONObject, context: AdapterContext): Promise<JSONObject>;
  close(): Promise<void>;
}

/** The adapter `network`: `network_request`, `network_graphql`, `network_grpc`, `network_websocket`. Params: docs/adapters/network.md. */
export function createNetworkAdapter({ egress, ...limits }: NetworkOptions): Adapter {
  const http = createHttpClient({ egress, ...limits });
  const schemas = new SchemaCache();
  let grpc: Promise<Grpc> | undefined;
  const openGrpc = (): Promise<Grpc> => {
    grpc ??= import('./grpc/grpc.ts').then((module) => module.createGrpcClient({ egress }));
    return grpc;
  };
  return {
    getManifest: () => ({ adapter_id: 'network', version: VERSION, step_types: stepTypes }),
    async execute({ type, params }, context): Promise<JSONObject> {
      context.signal.throwIfAborted();
      switch (type) {
        case 'network_request':
          return (await import('./request/request.ts')).networkRequest(params, context, { http, schemas });
        case 'network_graphql':
          return (await import('./graphql/graphql.ts')).graphqlRequest(params, context, http);
        case 'network_grpc':
          return (await openGrpc()).call(params, context);
        case 'network_websocket':
          return (await import('./websocket/websocket.ts')).networkWebsocket(params, context, egress);
        default:
          throw new StepError('INVALID_PARAMS', `the adapter network has no step type "${type}"`);
      }
    },
    healthCheck: () => ({ status: 'ok', timestamp: new Date().toISOString() }),
    async close() {
      await Promise.allSettled([http.close(), grpc?.then((client) => client.close())]);
    },
  };
}
