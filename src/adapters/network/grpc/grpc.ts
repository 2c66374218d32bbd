import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { Egress } from '../../../ports/egress.ts';

/** `network_grpc`. */
export interface GrpcClient {
  /**
   * Calls a method. Params: `grpcSchema`. Output: `message` (`null` where another status was expected), or `messages` (a list, or
   * StoredData) with `message_count` and `stopped`; `metadata`, `trailers`, `status { code, name, details }`, and `result`, the message or messages.
   * @throws StepError with a code of docs/adapters/network-grpc.md; the signal's reason
   */
  call(params: JSONObject, context: AdapterContext): Promise<JSONObject>;
  /** Closes all channels; calls that run are cut off by their own signals. */
  close(): Promise<void>;
}

/** The client loads gRPC with the first call: most nodes never need it. */
export function createGrpcClient({ egress }: { egress: Egress }): GrpcClient {
  let caller: Promise<GrpcClient> | undefined;
  let closed = false;
  return {
    async call(params, context) {
      if (closed) throw new StepError('STEP_CANCELLED', 'the node is closing');
      caller ??= import('./client.ts').then(({ GrpcCaller }) => new GrpcCaller(egress));
      return (await caller).call(params, context);
    },
    async close() {
      closed = true;
      await (await caller)?.close();
    },
  };
}
