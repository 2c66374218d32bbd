import { type TSchema, Type } from 'typebox';
import { namePattern } from '../protocol/workflow.ts';

/** Answers may gain fields: clients must let unknown ones pass, so these objects are open. */
const open = Type.Object;
const counts = Type.Record(Type.String(), Type.Number());
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const digest = Type.String({ pattern: '^[0-9a-f]{64}$' });
const runStatus = Type.Union(['running', 'completed', 'failed', 'cancelled'].map((status) => Type.Literal(status)));
const time = Type.String({ format: 'date-time' });
const failure = open({
  code: Type.String(),
  message: Type.String(),
  retryable: Type.Boolean(),
  step_id: Type.Optional(Type.String()),
});

const deployment = open({
  workflow: Type.String(),
  tenant_id: nullable(Type.String()),
  workflow_digest: digest,
  deployed_at: time,
  triggers: Type.Array(
    open({
      id: Type.String(),
      type: Type.String(),
      state: Type.Union([Type.Literal('connected'), Type.Literal('disconnected')]),
      why: Type.Optional(Type.String({ description: 'Why it is not connected.' })),
      runs_started: Type.Integer({ description: 'Since the coordinator started, as the other counts.' }),
      messages_repeated: Type.Integer({ description: 'That came again after they had had their run.' }),
      messages_rejected: Type.Integer({ description: 'That no run could be started with.' }),
    }),
  ),
});

/** Component schemas of the OpenAPI document, by name. */
export const schemas = {
  Problem: open(
    {
      type: Type.String({ description: 'urn:jsonflow:problem:<code>' }),
      title: Type.String(),
      status: Type.Integer(),
      detail: Type.String({ description: 'What is wrong.' }),
      code: Type.String({ description: 'Stable: switch on it.' }),
      hint: Type.Optional(Type.String({ description: 'What to do next.' })),
      problems: Type.Optional(
        Type.Array(
          open({
            code: Type.String(),
            path: Type.Optional(Type.String()),
            line: Type.Optional(Type.Integer()),
            column: Type.Optional(Type.Integer()),
            message: Type.String(),
            suggestion: Type.Optional(Type.String()),
          }),
          { description: 'Every finding, where a workflow or request was refused.' },
        ),
      ),
    },
    { description: 'A problem as in RFC 9457.' },
  ),
  SubmitRequest: Type.Object(
    {
      workflow: Type.Unknown({
        description: 'The workflow as an object, or its JSON source as a string: then problems carry line and column.',
      }),
      input: Type.Optional(Type.Unknown({ description: "The run's $input. Default {}." })),
    },
    { additionalProperties: false },
  ),
  Workflow: Type.Object({}, { description: 'A bare workflow: see schema/workflow.schema.json.' }),
  Submitted: open({
    run_id: Type.String({ pattern: namePattern }),
    created: Type.Boolean({ description: 'false where the idempotency key named an earlier run.' }),
  }),
  CancelRequest: Type.Object(
    { why: Type.Optional(Type.String({ maxLength: 1000, description: 'Kept in the journal.' })) },
    { additionalProperties: false },
  ),
  JoinTokenRequest: Type.Object(
    {
      ttl_ms: Type.Optional(
        Type.Integer({ minimum: 1000, maximum: 600_000, description: 'How long it may be used. Default ten minutes.' }),
      ),
    },
    { additionalProperties: false },
  ),
  DeployRequest: Type.Object(
    {
      workflow: Type.Unknown({
        description: 'A workflow with triggers, as an object or its JSON source: then problems carry line and column.',
      }),
    },
    { additionalProperties: false },
  ),
  UndeployRequest: Type.Object(
    {
      workflow: Type.String({ minLength: 1, maxLength: 128, description: 'Name of the workflow.' }),
      tenant_id: Type.Optional(
        Type.String({ pattern: namePattern, description: 'Of the workflow, where it has one.' }),
      ),
    },
    { additionalProperties: false },
  ),
  Deployment: deployment,
  DeploymentList: open({ deployments: Type.Array(deployment) }),
  Undeployed: open({ workflow: Type.String() }),
  JoinToken: open({ token: Type.String(), expires_at: time }),
  Cancelled: open({
    run_id: Type.String(),
    cancelled: Type.Boolean({ description: 'false where the run had ended already.' }),
  }),
  RunSummary: open({
    run_id: Type.String(),
    workflow: Type.String(),
    status: runStatus,
    tenant_id: nullable(Type.String()),
    started_at: time,
    finished_at: nullable(time),
    steps_total: Type.Integer(),
    steps_done: nullable(Type.Integer({ description: 'null where only the end of the run is at hand.' })),
  }),
  RunList: open({
    runs: Type.Array(Type.Ref('RunSummary')),
    cursor: Type.Optional(Type.String({ description: 'Absent on the last page.' })),
  }),
  Receipt: open({
    step_id: Type.String(),
    status: Type.Union([Type.Literal('success'), Type.Literal('failed')]),
    output: Type.Unknown(),
    error: Type.Optional(failure),
    merkle_proof: nullable(
      open({
        leaf_index: Type.Integer(),
        tree_size: Type.Integer(),
        leaf_hash: digest,
        path: Type.Array(digest),
        root: digest,
      }),
    ),
    execution_metadata: open({
      timestamp: time,
      latency_ms: Type.Number(),
      adapter_version: Type.String(),
      executor_node: Type.String(),
      attempt: Type.Integer(),
    }),
    signature: Type.String({ pattern: '^ed25519:' }),
  }),
  Result: open(
    {
      workflow_id: Type.String(),
      run_id: Type.String(),
      status: runStatus,
      receipts: Type.Array(Type.Ref('Receipt')),
      outputs: Type.Record(Type.String(), Type.Unknown()),
      merkle_root: nullable(digest),
      result_root: nullable(digest),
      execution_trace: open({
        nodes: Type.Array(Type.String()),
        timeline: Type.Array(
          open({
            step_id: Type.String(),
            node: Type.String(),
            attempt: Type.Integer(),
            started_at: time,
            latency_ms: nullable(Type.Number()),
            reason: Type.String({ description: 'Why the step was placed on this node.' }),
            outcome: Type.String(),
          }),
        ),
      }),
      stats: counts,
      waiting: Type.Optional(Type.Record(Type.String(), Type.String())),
      error: Type.Optional(failure),
    },
    { description: 'The result of a run, or what there is of it so far: `status` says which.' },
  ),
  StreamEvent: open(
    {
      seq: nullable(Type.Integer({ description: 'Place in the journal; null for progress, logs and waiting.' })),
      event: open({ kind: Type.String(), at: Type.Number({ description: 'ms since 1970' }) }),
    },
    { description: 'The `data` of one server-sent event. Its `id` is seq + 1, its `event` is the kind.' },
  ),
  Bundle: open(
    {
      jsonflow_bundle: Type.Literal(1),
      run_id: Type.String(),
      workflow: Type.Object({}),
      input: Type.Unknown(),
      receipts: Type.Array(Type.Object({})),
      run_statement: Type.Object({}),
      outputs: Type.Record(Type.String(), Type.Unknown()),
      keys: Type.Array(Type.Object({})),
    },
    { description: 'Everything needed to verify the run offline.' },
  ),
  Network: open({
    coordinator: Type.String(),
    epoch: Type.Integer(),
    nodes: Type.Array(
      open({
        id: Type.String(),
        role: Type.Union([Type.Literal('coordinator'), Type.Literal('worker')]),
        state: Type.Union([Type.Literal('connected'), Type.Literal('suspected'), Type.Literal('left')]),
        adapters: Type.Array(Type.String()),
        step_types: Type.Array(Type.String()),
        labels: Type.Record(Type.String(), Type.String()),
        resources: open({ total: counts, free: counts }),
        load: open({ running: Type.Number(), slots: Type.Number() }),
        latency_ms: nullable(Type.Number()),
        key_id: digest,
        version: Type.String(),
        connected_at: time,
      }),
    ),
  }),
  TrustFile: open({
    jsonflow_trust: Type.Literal(1),
    keys: Type.Array(open({ node_id: Type.String(), key_id: digest, public_key: Type.String() })),
  }),
  Health: open({
    status: Type.Union([Type.Literal('ok'), Type.Literal('degraded'), Type.Literal('failed')]),
    timestamp: time,
    checks: Type.Record(Type.String(), open({ status: Type.String(), message: Type.Optional(Type.String()) })),
  }),
  Alive: open({ status: Type.Literal('ok'), version: Type.String() }),
} as const satisfies Record<string, TSchema>;

export type SchemaName = keyof typeof schemas;
