import { type Static, Type } from 'typebox';
import { limits } from './limits.ts';

const closed = { additionalProperties: false } as const;

/** Letters, digits, `_` and `-`; a reference such as `$fetch.result` must be able to name it. */
export const stepIdPattern = '^[A-Za-z_][A-Za-z0-9_-]{0,127}$';
/** Ids of nodes, runs and tenants. */
export const namePattern = '^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$';

export const ResourceRequirements = Type.Object(
  {
    ram_mb: Type.Optional(Type.Number({ minimum: 0, description: 'Main memory, in MiB.' })),
    cpu_cores: Type.Optional(Type.Number({ minimum: 0, description: 'Processor cores; fractions are allowed.' })),
    gpu: Type.Optional(
      Type.Union([Type.Boolean(), Type.Integer({ minimum: 0 })], { description: 'true for one GPU, or how many.' }),
    ),
    gpu_memory_mb: Type.Optional(Type.Number({ minimum: 0, description: 'Memory of the GPU, in MiB.' })),
    qubits: Type.Optional(Type.Integer({ minimum: 0, description: 'Qubits of a simulator or device.' })),
    backend: Type.Optional(Type.String({ description: 'A back end that the node must offer.' })),
    db_connections: Type.Optional(Type.Integer({ minimum: 0, description: 'Database connections held meanwhile.' })),
    timeout_ms: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'Wall-clock limit of one attempt, in ms.' }),
    ),
  },
  { ...closed, description: 'What a node must have free to run the step.' },
);
export type ResourceRequirements = Static<typeof ResourceRequirements>;

const NodePreference = Type.Union(
  [
    Type.String({
      minLength: 1,
      description:
        "'any', a node id, '<adapter>_capable', 'high_compute', 'high_memory', 'low_latency', or a label as 'key=value'. A wish, not a condition.",
    }),
    Type.Object(
      {
        prefer: Type.Optional(Type.String({ minLength: 1, description: 'As the plain string form.' })),
        require_node: Type.Optional(
          Type.String({ pattern: namePattern, description: 'Only this node may run the step.' }),
        ),
        require_labels: Type.Optional(
          Type.Record(Type.String(), Type.String(), {
            description: 'Only a node with all these labels may run the step.',
          }),
        ),
      },
      closed,
    ),
  ],
  { description: 'Where the step would best run.' },
);

export const Step = Type.Object(
  {
    id: Type.String({ pattern: stepIdPattern, description: 'Unique within the workflow.' }),
    type: Type.String({
      minLength: 1,
      maxLength: limits.idLengthMax,
      description: 'Step type, such as transform_map.',
    }),
    description: Type.Optional(Type.String({ description: 'For people; ignored when the workflow runs.' })),
    params: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: "The step's input; may hold references such as $load.result.",
      }),
    ),
    parent_step_ids: Type.Optional(
      Type.Array(Type.String(), {
        description: 'Steps that must succeed first. References add to these by themselves.',
      }),
    ),
    resource_requirements: Type.Optional(ResourceRequirements),
    node_preference: Type.Optional(NodePreference),
    consensus_required: Type.Optional(Type.Boolean({ description: 'Run on several nodes and agree on the result.' })),
    min_confirmations: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, description: 'Equal results that consensus needs at least.' }),
    ),
  },
  closed,
);
/** A step of a workflow. */
export type Step = Static<typeof Step>;

export const FaultTolerance = Type.Object(
  {
    retry_failed_steps: Type.Optional(Type.Boolean({ description: 'Try a failed step again. Default false.' })),
    max_retries: Type.Optional(
      Type.Integer({ minimum: 0, maximum: limits.retriesMax, description: 'Attempts after the first. Default 3.' }),
    ),
    backoff_ms: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 3_600_000,
        description: 'Wait before the first retry; doubles each time, with jitter. Default 200.',
      }),
    ),
    backoff_max_ms: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 86_400_000, description: 'Longest such wait. Default 30000.' }),
    ),
    failover_strategy: Type.Optional(
      Type.Union([Type.Literal('reassign'), Type.Literal('checkpoint')], {
        description:
          'When a node is lost: start the step afresh elsewhere, or from its last checkpoint. Default reassign.',
      }),
    ),
    checkpoint_frequency: Type.Optional(
      Type.Union([Type.Literal('per_step'), Type.Literal('on_change'), Type.Integer({ minimum: 1 })], {
        description:
          "How often checkpoints are kept: 'per_step' keeps each that the adapter offers, 'on_change' skips equal ones, a number is the least ms between two. Default per_step.",
      }),
    ),
    on_step_failure: Type.Optional(
      Type.Union([Type.Literal('stop'), Type.Literal('continue')], {
        description:
          "When a step has finally failed: 'stop' cancels what runs and starts nothing more; 'continue' lets independent branches end. The run fails either way. Default stop.",
      }),
    ),
  },
  { ...closed, description: 'What happens when a step fails or a node is lost.' },
);
/** A workflow's `fault_tolerance`. */
export type FaultTolerance = Static<typeof FaultTolerance>;

const Consensus = Type.Object(
  {
    required: Type.Optional(Type.Boolean({ description: 'Whether every step needs consensus. Default false.' })),
    algorithm: Type.Optional(
      Type.Literal('pbft', { description: 'Practical Byzantine fault tolerance, the only one.' }),
    ),
    min_confirmations: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, description: 'Equal results that a step needs at least.' }),
    ),
    timeout_ms: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'Longest time to agree on one step, in ms.' }),
    ),
  },
  { ...closed, description: 'Agreement of several nodes on the results of steps.' },
);

const Isolation = Type.Object(
  {
    network: Type.Optional(Type.String({ description: 'Class of network isolation.' })),
    storage: Type.Optional(Type.String({ description: 'Class of storage isolation.' })),
    compute: Type.Optional(Type.String({ description: 'Class of compute isolation.' })),
  },
  { ...closed, description: 'How far the tenant is kept apart from others.' },
);

const MqTrigger = Type.Object(
  {
    type: Type.Literal('mq', { description: 'Messages of a queue, topic, subject or stream.' }),
    id: Type.Optional(
      Type.String({
        pattern: stepIdPattern,
        description: 'Unique within the workflow; a message starts one run per trigger id, for good. Default mq.',
      }),
    ),
    params: Type.Record(Type.String(), Type.Unknown(), {
      description: 'As of mq_consume: broker, queue and so on. References are not possible here; vault pointers are.',
    }),
    max_concurrent_runs: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        description: 'Runs of this trigger at once; further messages stay with the broker. Default 16.',
      }),
    ),
    batch: Type.Optional(
      Type.Object(
        {
          max_messages: Type.Integer({ minimum: 1, maximum: 1000, description: 'Messages of one run at most.' }),
          wait_ms: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 60_000,
              description: 'How long a batch waits to become full. Default 200.',
            }),
          ),
        },
        { ...closed, description: 'One run for several messages. Absent: one run for each.' },
      ),
    ),
  },
  { ...closed, description: 'Starts a run for each message, once the workflow is deployed.' },
);
export type MqTrigger = Static<typeof MqTrigger>;

/** The source of the types, of the validator and of the published JSON Schema. */
export const Workflow = Type.Object(
  {
    $schema: Type.Optional(Type.String({ description: 'For editors; ignored when the workflow runs.' })),
    workflow: Type.String({ minLength: 1, maxLength: limits.idLengthMax, description: 'Name of the workflow.' }),
    version: Type.Optional(
      Type.String({ maxLength: limits.idLengthMax, description: 'Version of the workflow, for people.' }),
    ),
    description: Type.Optional(Type.String({ description: 'For people; ignored when the workflow runs.' })),
    distributed: Type.Optional(
      Type.Boolean({ description: 'false keeps every step on the coordinator. Default true.' }),
    ),
    tenant_id: Type.Optional(
      Type.String({
        pattern: namePattern,
        description: 'Whose run it is; must agree with the credential, if there is one.',
      }),
    ),
    isolation: Type.Optional(Isolation),
    consensus: Type.Optional(Consensus),
    fault_tolerance: Type.Optional(FaultTolerance),
    triggers: Type.Optional(
      Type.Array(MqTrigger, {
        minItems: 1,
        maxItems: 100,
        description:
          'What starts runs of the workflow where it is deployed (jsonflow deploy). No effect on a run that is started by hand.',
      }),
    ),
    steps: Type.Array(Step, { minItems: 1, maxItems: limits.stepsMax }),
  },
  closed,
);
/** A workflow document, as docs/workflow-language.md describes it. */
export type Workflow = Static<typeof Workflow>;
