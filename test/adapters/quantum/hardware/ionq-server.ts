import { randomUUID } from 'node:crypto';
import { type Circuit, gateOn, type Operation } from '../../../../src/adapters/quantum/circuit/circuit.ts';
import { gateNamed, type NamedGate } from '../../../../src/adapters/quantum/circuit/gates.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../../src/lib/json.ts';
import {
  type Answer,
  advance,
  Breach,
  type ContractServer,
  contractServer,
  outcomeOf,
  type Request,
  type ServedJob,
} from './contract.ts';

export const ionqKey = 'ionq-key-4711';

/** Backends as the API lists them. */
const backends = [
  {
    backend: 'simulator',
    status: 'available',
    qubits: 29,
    average_queue_time: 0,
    last_updated: '2025-06-16T00:00:00Z',
    degraded: false,
  },
  {
    backend: 'qpu.forte-1',
    status: 'available',
    qubits: 36,
    average_queue_time: 1181215,
    last_updated: '2025-06-16T00:00:00Z',
    degraded: false,
  },
];
const plain: Readonly<Record<string, NamedGate>> = {
  x: 'x',
  y: 'y',
  z: 'z',
  h: 'h',
  s: 's',
  si: 'sdg',
  t: 't',
  ti: 'tdg',
  v: 'sx',
  vi: 'sxdg',
};
const words: Readonly<Record<ServedJob['state'], string>> = {
  queued: 'ready',
  running: 'started',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'canceled',
};

/**
 * IonQ's API v0.4 as far as jobs need it, from its published OpenAPI document (https://docs.ionq.com/api-reference/v0.4, last updated in
 * May 2026): what it names, and nothing else, is accepted. Jobs are simulated.
 */
export const ionqServer = (): Promise<ContractServer> => contractServer('/v0.4', answer);

function answer(request: Request, server: ContractServer): Answer {
  const { method, path, headers } = request;
  if (method === 'GET' && path === '/backends') return { status: 200, body: backends };
  if (headers.authorization !== `apiKey ${ionqKey}`)
    return failure(
      401,
      'Unauthorized Error',
      `Invalid key provided: ${String(headers.authorization)}. See https://docs.ionq.com/#authentication`,
    );
  if (method === 'POST' && path === '/jobs') return create(request, server);
  if (method === 'GET' && path === '/jobs') return list(request, server);
  const [, id, rest] = /^\/jobs\/([0-9a-f-]{36})(.*)$/.exec(path) ?? [];
  const job = server.jobs.find((one) => one.id === id);
  if (job === undefined) return failure(404, 'Not Found Error', 'Resource not found.');
  if (method === 'GET' && rest === '') return { status: 200, body: jobJSON(advance(job, server.plan.ends)) };
  if (method === 'PUT' && rest === '/status/cancel') {
    if (job.state === 'completed' || job.state === 'failed') return failure(400, 'Bad Request', 'The job has ended.');
    job.state = 'cancelled';
    return { status: 200, body: { id: job.id, status: 'canceled' } };
  }
  if (method === 'GET' && rest === '/results/probabilities' && job.state === 'completed')
    return { status: 200, body: probabilities(job) };
  throw breach(`${method} ${path} is not there`, 404);
}

function create({ headers, body }: Request, server: ContractServer): Answer {
  if (headers['content-type'] !== 'application/json') throw breach(`content-type ${headers['content-type']}`);
  const given = JSON.parse(body) as JSONValue;
  if (!isObject(given)) throw breach('a body that is no object');
  only(given, ['type', 'name', 'metadata', 'shots', 'backend', 'session_id', 'settings', 'dry_run', 'noise', 'input']);
  const { type, name, shots, backend, input } = given;
  if (type !== 'ionq.circuit.v1') throw breach(`type ${String(type)}`);
  if (typeof name !== 'string') throw breach('a name that is no text');
  if (!(Number.isInteger(shots) && Number(shots) >= 1 && Number(shots) <= 1_000_000))
    throw breach(`shots ${String(shots)}`);
  if (!backends.some((one) => one.backend === backend)) throw breach(`backend ${String(backend)}`);
  const job: ServedJob = {
    id: randomUUID(),
    name,
    state: 'queued',
    shots: Number(shots),
    device: String(backend),
    circuit: circuitOf(input),
    ahead: server.plan.ahead,
    left: server.plan.left,
  };
  server.jobs.push(job);
  return { status: 201, body: { id: job.id, status: 'ready', session_id: null } };
}

function circuitOf(input: unknown): Circuit {
  if (!isObject(input)) throw breach('no input');
  only(input, ['qubits', 'gateset', 'circuit']);
  const { qubits, gateset, circuit } = input;
  if (gateset !== 'qis') throw breach(`gateset ${String(gateset)}`);
  if (!Number.isInteger(qubits) || Number(qubits) < 1 || !Array.isArray(circuit)) throw breach('qubits or circuit');
  const operations = circuit.map((gate) => operationOf(gate, Number(qubits)));
  const measured = Array.from(
    { length: Number(qubits) },
    (_, qubit): Operation => ({ kind: 'measure', qubit, bit: qubit }),
  );
  return {
    qubits: Number(qubits),
    registers: [{ name: 'all', size: Number(qubits) }],
    operations: [...operations, ...measured],
  };
}

function operationOf(given: unknown, qubits: number): Operation {
  if (!isObject(given)) throw breach('a gate that is no object');
  const { gate, target, targets, control, rotation } = given;
  const qubit = (value: unknown): number => {
    if (!Number.isInteger(value) || Number(value) < 0 || Number(value) >= qubits)
      throw breach(`qubit ${String(value)}`);
    return Number(value);
  };
  const name = String(gate);
  if (['rx', 'ry', 'rz'].includes(name)) {
    only(given, ['gate', 'target', 'rotation']);
    if (typeof rotation !== 'number' || !Number.isFinite(rotation)) throw breach(`rotation ${String(rotation)}`);
    return gateOn(gateNamed(name as 'rx' | 'ry' | 'rz', rotation), [qubit(target)]);
  }
  if (name === 'cnot') {
    only(given, ['gate', 'target', 'control']);
    return gateOn(gateNamed('x'), [qubit(target)], [{ qubit: qubit(control), value: 1 }]);
  }
  if (name === 'swap') {
    only(given, ['gate', 'targets']);
    if (!Array.isArray(targets) || targets.length !== 2) throw breach('targets of a swap');
    return gateOn(gateNamed('swap'), targets.map(qubit));
  }
  only(given, ['gate', 'target']);
  const known = plain[name];
  if (known === undefined) throw breach(`gate ${name}`);
  return gateOn(gateNamed(known), [qubit(target)]);
}

/** Newest first, a page at a time. */
function list({ query }: Request, server: ContractServer): Answer {
  only(Object.fromEntries(query), [
    'ids',
    'parent_job_id',
    'status',
    'target',
    'session_id',
    'submitter_id',
    'limit',
    'next',
  ]);
  const limit = Number(query.get('limit') ?? 25);
  if (!(limit >= 1 && limit <= 25)) throw breach(`limit ${limit}`);
  const from = Number(query.get('next') ?? 0);
  // Short pages, so that there are several.
  const to = from + Math.min(limit, 2);
  const jobs = server.jobs.toReversed();
  return { status: 200, body: { jobs: jobs.slice(from, to).map(jobJSON), next: to < jobs.length ? String(to) : null } };
}

function jobJSON(job: ServedJob): JSONObject {
  const failed = {
    code: 'CompilationError',
    message: `circuit of ${job.name} with the key ${ionqKey} can not be compiled`,
  };
  return {
    id: job.id,
    status: words[job.state],
    type: 'ionq.circuit.v1',
    backend: job.device,
    dry_run: false,
    name: job.name,
    metadata: null,
    shots: job.shots,
    submitted_at: '2025-05-28T20:47:05.440Z',
    predicted_wait_time_ms: job.state === 'queued' ? 1000 * job.ahead : null,
    failure: job.state === 'failed' ? failed : null,
    results:
      job.state === 'completed' ? { probabilities: { url: `/v0.4/jobs/${job.id}/results/probabilities` } } : null,
  };
}

/** By the number of the state, qubit 0 the least significant bit: measured shares on a device, exact ones on the simulator. */
function probabilities({ circuit, shots, device }: ServedJob): JSONObject {
  const { counts, probabilities: exact = {} } = outcomeOf(circuit, shots);
  const shares = device === 'simulator' ? exact : counts;
  return Object.fromEntries(
    Object.entries(shares).map(([bits, share]) => [
      String(Number.parseInt(bits, 2)),
      device === 'simulator' ? share : share / shots,
    ]),
  );
}

function only(given: Record<string, unknown>, known: readonly string[]): void {
  for (const key of Object.keys(given)) if (!known.includes(key)) throw breach(`the field ${key}`);
}

const failure = (statusCode: number, error: string, message: string): Answer => ({
  status: statusCode,
  body: { statusCode, error, message },
});

const breach = (why: string, status = 400): Breach =>
  new Breach(`IonQ: ${why}`, failure(status, 'Bad Request', `"${why}" was invalid.`));
