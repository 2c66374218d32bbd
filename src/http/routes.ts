import { Type } from 'typebox';
import type { RunsQuery } from '../engine/api.ts';
import { isObject, type JSONValue } from '../lib/json.ts';
import { productVersion } from '../protocol/version.ts';
import { type Body, readBody, workflowMediaType } from './body.ts';
import { eventStream, fromSeqOf } from './event-stream.ts';
import { openApiDocument } from './openapi.ts';
import { HttpProblem } from './problem.ts';
import type { Route, RouteContext, RouteRequest } from './route.ts';
import { type SchemaName, schemas } from './schemas.ts';
import { invalid, problemsOf } from './validation.ts';

const json = (value: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json', ...headers } });

const jsonAnswer = (description: string, schema: SchemaName) => ({
  description,
  content: { 'application/json': schema },
});

/** The members of a JSON body that fits its schema. */
function membersOf(
  body: Body,
  schema: 'SubmitRequest' | 'CancelRequest' | 'JoinTokenRequest' | 'DeployRequest' | 'UndeployRequest',
): Record<string, JSONValue> {
  const value = body.kind === 'json' ? body.value : {};
  const problems = problemsOf(schemas[schema], value);
  if (problems.length > 0 || !isObject(value)) throw invalid('the body does not have the expected form', problems);
  return value as Record<string, JSONValue>;
}

async function submit({ api }: RouteContext, { request, header }: RouteRequest): Promise<Response> {
  const idempotencyKey = header('idempotency-key');
  if (idempotencyKey !== undefined && !/^[\x21-\x7e]{1,255}$/.test(idempotencyKey))
    throw new HttpProblem('INVALID_PARAMS', 'Idempotency-Key must be 1 to 255 visible ASCII characters', {
      hint: 'Use a UUID.',
    });
  const body = await readBody(request);
  const members: Record<string, JSONValue> =
    body.kind === 'workflow' ? { workflow: body.source } : membersOf(body, 'SubmitRequest');
  const submitted = await api.submit({
    workflow: members.workflow,
    ...(members.input === undefined ? {} : { input: members.input }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  });
  return json(submitted, 202, { location: `/api/v1/runs/${encodeURIComponent(submitted.run_id)}` });
}

async function cancel({ api }: RouteContext, { request, runId }: RouteRequest): Promise<Response> {
  const why = membersOf(await readBody(request), 'CancelRequest').why;
  const cancelled = await api.cancel(runId, typeof why === 'string' ? why : undefined);
  return json({ run_id: runId, cancelled }, 202);
}

async function createJoinToken({ api }: RouteContext, { request }: RouteRequest): Promise<Response> {
  const ttl = membersOf(await readBody(request), 'JoinTokenRequest').ttl_ms;
  return json(api.createJoinToken(typeof ttl === 'number' ? ttl : undefined), 201);
}

async function deploy({ api }: RouteContext, { request }: RouteRequest): Promise<Response> {
  const body = await readBody(request);
  const workflow = body.kind === 'workflow' ? body.source : membersOf(body, 'DeployRequest').workflow;
  return json(await api.deploy(workflow), 201);
}

async function undeploy({ api }: RouteContext, { request }: RouteRequest): Promise<Response> {
  const { workflow, tenant_id } = membersOf(await readBody(request), 'UndeployRequest');
  await api.undeploy(String(workflow), typeof tenant_id === 'string' ? tenant_id : undefined);
  return json({ workflow });
}

async function runs({ api }: RouteContext, { query }: RouteRequest): Promise<Response> {
  const { status, cursor, limit } = query;
  return json(
    await api.runs({
      ...(status === undefined ? {} : { status: status as Exclude<RunsQuery['status'], undefined> }),
      ...(cursor === undefined ? {} : { cursor }),
      ...(limit === undefined ? {} : { limit: Number(limit) }),
    }),
  );
}

async function events(context: RouteContext, { request, runId, header, query }: RouteRequest): Promise<Response> {
  const fromSeq = fromSeqOf(header('last-event-id') ?? query.last_event_id);
  return eventStream(context.api, runId, fromSeq, {
    signal: AbortSignal.any([request.signal, context.closing]),
    onEnd: context.takeStream(),
  });
}

/** Every route, in the order of the document. */
export const routes: readonly Route[] = [
  {
    method: 'POST',
    path: '/api/v1/runs',
    operationId: 'submitRun',
    summary: 'Start a run',
    description:
      'Answers when the run is on disk. With an Idempotency-Key the same request can be sent again safely: it names the same run.',
    headers: {
      'Idempotency-Key': {
        description: 'Equal keys start one run. Reuse for another workflow or input is a CONFLICT.',
        schema: Type.String({ minLength: 1, maxLength: 255 }),
      },
    },
    body: { required: true, content: { 'application/json': 'SubmitRequest', [workflowMediaType]: 'Workflow' } },
    answers: {
      202: { ...jsonAnswer('The run is on disk.', 'Submitted'), headers: { Location: 'Where its result will be.' } },
    },
    problems: [
      'INVALID_JSON',
      'NOT_I_JSON',
      'INVALID_WORKFLOW',
      'INVALID_INPUT',
      'CONFLICT',
      'LIMIT_EXCEEDED',
      'UNSUPPORTED_MEDIA_TYPE',
      'NOT_AVAILABLE_YET',
    ],
    handle: submit,
  },
  {
    method: 'GET',
    path: '/api/v1/runs',
    operationId: 'listRuns',
    summary: 'List runs, newest first',
    query: Type.Object({
      status: Type.Optional(Type.Enum(['running', 'completed', 'failed', 'cancelled'])),
      cursor: Type.Optional(Type.String({ maxLength: 1024, description: 'From the page before.' })),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
    }),
    answers: { 200: jsonAnswer('One page.', 'RunList') },
    handle: runs,
  },
  {
    method: 'GET',
    path: '/api/v1/runs/{run_id}',
    operationId: 'getRun',
    summary: 'The result of a run, or what there is of it so far',
    answers: { 200: jsonAnswer('The result.', 'Result') },
    problems: ['NOT_FOUND'],
    handle: async ({ api }, { runId }) => json(await api.result(runId)),
  },
  {
    method: 'GET',
    path: '/api/v1/runs/{run_id}/events',
    operationId: 'streamEvents',
    summary: 'The events of a run, as they happen',
    description:
      'Server-sent events, from the first journal event or from where Last-Event-ID left off, to run.completed. An id is the number of journal events received; progress, logs and waiting pass by without one.',
    query: Type.Object({
      last_event_id: Type.Optional(
        Type.String({ pattern: '^\\d{0,15}$', description: 'As the header, for clients that can not set it.' }),
      ),
    }),
    headers: {
      'Last-Event-ID': {
        description: 'The last id that was received.',
        schema: Type.String({ pattern: '^\\d{0,15}$' }),
      },
    },
    answers: {
      200: { description: 'The stream.', content: { 'text/event-stream': 'StreamEvent' } },
      204: { description: 'The run has ended and everything was received: do not come back.' },
    },
    problems: ['NOT_FOUND', 'OVERLOADED'],
    handle: events,
  },
  {
    method: 'GET',
    path: '/api/v1/runs/{run_id}/bundle',
    operationId: 'getBundle',
    summary: 'The bundle of a finished run, for offline verification',
    answers: { 200: jsonAnswer('The bundle.', 'Bundle') },
    problems: ['NOT_FOUND', 'CONFLICT'],
    handle: async ({ api }, { runId }) =>
      json(await api.bundle(runId), 200, { 'content-disposition': `attachment; filename="${runId}.bundle.json"` }),
  },
  {
    method: 'POST',
    path: '/api/v1/runs/{run_id}/cancel',
    operationId: 'cancelRun',
    summary: 'Cancel a run',
    description: 'Answers when the wish is on disk; the run ends when its running steps have stopped.',
    body: { required: false, content: { 'application/json': 'CancelRequest' } },
    answers: { 202: jsonAnswer('The wish is on disk.', 'Cancelled') },
    problems: ['NOT_FOUND', 'INVALID_JSON', 'NOT_I_JSON', 'LIMIT_EXCEEDED', 'UNSUPPORTED_MEDIA_TYPE'],
    handle: cancel,
  },
  {
    method: 'POST',
    path: '/api/v1/deployments',
    operationId: 'deployWorkflow',
    summary: "Let a workflow's triggers start runs",
    description:
      'Answers when the deployment is on disk and its triggers have begun. It takes the place of an earlier one of that name.',
    body: { required: true, content: { 'application/json': 'DeployRequest', [workflowMediaType]: 'Workflow' } },
    answers: { 201: jsonAnswer('It is deployed.', 'Deployment') },
    problems: [
      'INVALID_JSON',
      'NOT_I_JSON',
      'INVALID_WORKFLOW',
      'INVALID_INPUT',
      'LIMIT_EXCEEDED',
      'UNSUPPORTED_MEDIA_TYPE',
      'NOT_AVAILABLE_YET',
    ],
    handle: deploy,
  },
  {
    method: 'GET',
    path: '/api/v1/deployments',
    operationId: 'listDeployments',
    summary: 'The deployed workflows, with the state of their triggers',
    answers: { 200: jsonAnswer('All of them.', 'DeploymentList') },
    handle: async ({ api }) => json({ deployments: await api.deployments() }),
  },
  {
    method: 'POST',
    path: '/api/v1/deployments/remove',
    operationId: 'undeployWorkflow',
    summary: 'End a deployment',
    description:
      'Answers when it is gone from the disk and its triggers have let go of their messages. Its runs go on.',
    body: { required: true, content: { 'application/json': 'UndeployRequest' } },
    answers: { 200: jsonAnswer('It is gone.', 'Undeployed') },
    problems: ['INVALID_JSON', 'NOT_I_JSON', 'NOT_FOUND', 'LIMIT_EXCEEDED', 'UNSUPPORTED_MEDIA_TYPE'],
    handle: undeploy,
  },
  {
    method: 'GET',
    path: '/api/v1/nodes',
    operationId: 'listNodes',
    summary: 'The nodes, with their adapters, resources and load',
    answers: { 200: jsonAnswer('The network as this coordinator sees it.', 'Network') },
    handle: ({ api }) => json(api.network()),
  },
  {
    method: 'GET',
    path: '/api/v1/keys',
    operationId: 'getKeys',
    summary: 'The public keys of the coordinator and its nodes, as a trust file',
    description: 'Worth as much as the way it came: fetch it over a connection that you trust.',
    answers: { 200: jsonAnswer('The trust file.', 'TrustFile') },
    handle: async ({ api }) => json(await api.trust()),
  },
  {
    method: 'POST',
    path: '/api/v1/join-tokens',
    operationId: 'createJoinToken',
    summary: 'Make a token with which one worker may join',
    description: 'It is shown once, works once, and for ten minutes at most. Only its hash is kept.',
    body: { required: false, content: { 'application/json': 'JoinTokenRequest' } },
    answers: { 201: jsonAnswer('The token.', 'JoinToken') },
    problems: ['INVALID_JSON', 'NOT_I_JSON', 'LIMIT_EXCEEDED', 'UNSUPPORTED_MEDIA_TYPE'],
    handle: createJoinToken,
  },
  {
    method: 'GET',
    path: '/healthz',
    operationId: 'alive',
    summary: 'Whether the process answers',
    open: true,
    answers: { 200: jsonAnswer('It does.', 'Alive') },
    handle: () => json({ status: 'ok', version: productVersion }),
  },
  {
    method: 'GET',
    path: '/readyz',
    operationId: 'ready',
    summary: 'Whether the coordinator accepts runs',
    open: true,
    answers: { 200: jsonAnswer('It does.', 'Health'), 503: jsonAnswer('It starts, closes or has failed.', 'Health') },
    handle: ready,
  },
  {
    method: 'GET',
    path: '/metrics',
    operationId: 'metrics',
    summary: 'Metrics for Prometheus',
    answers: { 200: { description: 'Text format.', content: { 'text/plain': Type.String() } } },
    handle: async ({ metrics }) => {
      const { text, contentType } = await metrics.render();
      return new Response(text, { headers: { 'content-type': contentType } });
    },
  },
  {
    method: 'GET',
    path: '/api/openapi.json',
    operationId: 'openapi',
    summary: 'This document',
    open: true,
    answers: { 200: { description: 'OpenAPI 3.1.', content: { 'application/json': Type.Object({}) } } },
    handle: () => json(openApiDocument(routes)),
  },
];

async function ready({ api, closing }: RouteContext): Promise<Response> {
  const health = await api.health();
  // Details are for those who may see them: this route is open to everyone.
  const checks = Object.fromEntries(Object.entries(health.checks).map(([name, { status }]) => [name, { status }]));
  const status = closing.aborted ? 'failed' : health.status;
  return json({ status, timestamp: health.timestamp, checks }, status === 'failed' ? 503 : 200);
}
