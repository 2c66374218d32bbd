import type { TObject, TSchema } from 'typebox';
import type { CoordinatorApi } from '../engine/api.ts';
import type { Metrics } from './metrics.ts';
import type { ProblemCode } from './problem.ts';
import type { SchemaName } from './schemas.ts';

/** A request whose path and query were checked against its route. */
export interface RouteRequest {
  request: Request;
  runId: string;
  query: Readonly<Record<string, string>>;
  header(name: string): string | undefined;
}

/** What handlers work with. */
export interface RouteContext {
  api: CoordinatorApi;
  metrics: Metrics;
  /** Aborted when the server closes. */
  closing: AbortSignal;
  /** Takes one of the bounded places for event streams; the returned function gives it back. @throws HttpProblem OVERLOADED */
  takeStream(): () => void;
}

interface RouteAnswer {
  description: string;
  /** Content type to schema; absent where there is no body. */
  content?: Record<string, SchemaName | TSchema>;
  headers?: Record<string, string>;
}

/** One row of the table from which both the server and its OpenAPI document are made. */
export interface Route {
  method: 'GET' | 'POST';
  /** As in OpenAPI: `/api/v1/runs/{run_id}`. */
  path: string;
  operationId: string;
  summary: string;
  description?: string;
  /** Open to everyone, without token or limit. Default false. */
  open?: boolean;
  query?: TObject;
  headers?: Record<string, { description: string; schema: TSchema }>;
  body?: { required: boolean; content: Record<string, SchemaName> };
  answers: Record<number, RouteAnswer>;
  /** Beside those that every route may give. */
  problems?: readonly ProblemCode[];
  handle(context: RouteContext, request: RouteRequest): Promise<Response> | Response;
}
