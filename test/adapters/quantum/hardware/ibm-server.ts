import { bitsOf, type Circuit, type Operation } from '../../../../src/adapters/quantum/circuit/circuit.ts';
import { parseQasm } from '../../../../src/adapters/quantum/formats/qasm/parse.ts';
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

export const ibmKey = 'ibm-api-key-0815';
export const ibmCrn = 'crn:v1:bluemix:public:quantum-computing:us-east:a/0123:4567::';

const both = (pairs: readonly [number, number][]): [number, number][] =>
  pairs.flatMap(([a, b]) => [
    [a, b],
    [b, a],
  ]);

/** Two devices: one as those of today, one as those before, whose gates of two qubits go one way. */
const devices: Readonly<Record<string, JSONObject>> = {
  ibm_today: {
    backend_name: 'ibm_today',
    n_qubits: 7,
    basis_gates: ['cz', 'id', 'rz', 'sx', 'x'],
    coupling_map: both([
      [0, 1],
      [1, 2],
      [1, 3],
      [3, 5],
      [4, 5],
      [5, 6],
    ]),
    max_shots: 100_000,
    supported_instructions: [
      'cz',
      'id',
      'delay',
      'measure',
      'reset',
      'rz',
      'sx',
      'x',
      'if_else',
      'for_loop',
      'switch_case',
    ],
    simulator: false,
  },
  ibm_before: {
    backend_name: 'ibm_before',
    n_qubits: 5,
    basis_gates: ['ecr', 'id', 'rz', 'sx', 'x'],
    coupling_map: [
      [1, 0],
      [1, 2],
      [3, 2],
      [3, 4],
    ],
    max_shots: 20_000,
    supported_instructions: ['ecr', 'id', 'delay', 'measure', 'reset', 'rz', 'sx', 'x'],
    simulator: false,
  },
};
const words: Readonly<Record<ServedJob['state'], string>> = {
  queued: 'Queued',
  running: 'Running',
  completed: 'Completed',
  failed: 'Failed',
  cancelled: 'Cancelled',
};

/** The server and the tokens that it has given and takes. */
export interface IbmServer extends ContractServer {
  iamUrl: string;
  /** Makes all tokens that were given worthless, as if their hour were over. */
  expire(): void;
}

/**
 * The Qiskit Runtime REST API as far as jobs need it, with IBM Cloud's tokens, from their documentation
 * (https://quantum.cloud.ibm.com/docs/api/qiskit-runtime-rest, https://cloud.ibm.com/apidocs/iam-identity-token-api): circuits must be
 * written for the device. Jobs are simulated.
 */
export async function ibmServer(): Promise<IbmServer> {
  let tokens: string[] = [];
  let given = 0;
  const server = await contractServer('/api/v1', (request, self) => {
    if (request.path === '/identity/token') {
      const answered = token(request, `access-token-${given}`);
      if (answered.status === 200) tokens.push(`access-token-${given}`);
      given += 1;
      return answered;
    }
    const { authorization = '', 'service-crn': crn, 'ibm-api-version': version = '' } = request.headers;
    if (!tokens.some((one) => authorization === `Bearer ${one}`))
      return failure(401, 1200, `Invalid credentials: ${authorization}`);
    if (crn !== ibmCrn) return failure(403, 1201, 'The instance is not accessible.');
    if (!/^\d{4}-\d\d-\d\d$/.test(String(version))) throw breach(`IBM-API-Version ${String(version)}`);
    return answer(request, self);
  });
  return Object.assign(server, {
    iamUrl: `${new URL(server.url).origin}/identity/token`,
    expire: () => {
      tokens = [];
    },
  });
}

function token({ method, headers, body }: Request, made: string): Answer {
  const form = new URLSearchParams(body);
  if (method !== 'POST' || headers['content-type'] !== 'application/x-www-form-urlencoded')
    throw breach('IAM: no form');
  if (form.get('grant_type') !== 'urn:ibm:params:oauth:grant-type:apikey') throw breach('IAM: grant_type');
  if (form.get('apikey') !== ibmKey)
    return {
      status: 400,
      body: { errorCode: 'BXNIM0415E', errorMessage: `Provided API key ${form.get('apikey')} could not be found.` },
    };
  return {
    status: 200,
    body: {
      access_token: made,
      refresh_token: 'not_supported',
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'ibm_openid',
    },
  };
}

function answer(request: Request, server: ContractServer): Answer {
  const { method, path } = request;
  if (method === 'GET' && path === '/backends')
    return {
      status: 200,
      body: {
        devices: Object.values(devices).map(({ backend_name, n_qubits }) => ({
          name: backend_name ?? '',
          qubits: n_qubits ?? 0,
          status: { name: 'online', reason: 'available' },
          queue_length: 3,
        })),
      },
    };
  const [, device] = /^\/backends\/([^/]+)\/configuration$/.exec(path) ?? [];
  if (method === 'GET' && device !== undefined) {
    const found = devices[device];
    return found === undefined ? failure(404, 1216, `Backend ${device} not found.`) : { status: 200, body: found };
  }
  if (method === 'POST' && path === '/jobs') return create(request, server);
  if (method === 'GET' && path === '/jobs') return list(request, server);
  const [, id, rest] = /^\/jobs\/(job[0-9]+)(.*)$/.exec(path) ?? [];
  const job = server.jobs.find((one) => one.id === id);
  if (job === undefined) return failure(404, 1291, 'Job not found.');
  if (method === 'GET' && rest === '') return { status: 200, body: jobJSON(advance(job, server.plan.ends)) };
  if (method === 'GET' && rest === '/metrics') return { status: 200, body: { position_in_queue: job.ahead + 1 } };
  if (method === 'POST' && rest === '/cancel') {
    if (job.state === 'completed' || job.state === 'failed') return failure(409, 1315, 'Job already in a final state.');
    job.state = 'cancelled';
    return { status: 204 };
  }
  if (method === 'GET' && rest === '/results' && job.state === 'completed') return { status: 200, body: results(job) };
  throw breach(`${method} ${path} is not there`, 404);
}

function create({ headers, body }: Request, server: ContractServer): Answer {
  if (headers['content-type'] !== 'application/json') throw breach(`content-type ${headers['content-type']}`);
  const given = JSON.parse(body) as JSONValue;
  if (!isObject(given)) throw breach('a body that is no object');
  only(given, [
    'program_id',
    'backend',
    'runtime',
    'tags',
    'log_level',
    'cost',
    'session_id',
    'calibration_id',
    'params',
    'private',
  ]);
  const { program_id, backend, tags, params } = given;
  const device = devices[String(backend)];
  if (program_id !== 'sampler' || device === undefined || !isObject(params))
    throw breach('program_id, backend or params');
  only(params, ['pubs', 'options', 'version', 'shots']);
  if (params.version !== 2 || !Array.isArray(params.pubs) || params.pubs.length !== 1) throw breach('version or pubs');
  if (!Array.isArray(tags) || tags.length > 8 || !tags.every((tag) => typeof tag === 'string' && tag.length <= 86))
    throw breach('tags');
  const [pub] = params.pubs;
  const [text, values, shots] = Array.isArray(pub) ? pub : [];
  if (typeof text !== 'string' || values !== null || typeof shots !== 'number') throw breach('a pub');
  if (!(Number.isInteger(shots) && shots >= 1 && shots <= Number(device.max_shots))) throw breach(`shots ${shots}`);
  const circuit = parseQasm(ownGates(text, device.basis_gates as string[]));
  checkWritten(circuit, device);
  const job: ServedJob = {
    id: `job${server.jobs.length}`,
    name: String(tags[0]),
    state: 'queued',
    shots,
    device: String(backend),
    circuit,
    ahead: server.plan.ahead,
    left: server.plan.left,
  };
  server.jobs.push(job);
  return { status: 200, body: { id: job.id, backend: job.device } };
}

/** A gate of the device is that, though the program says what it is made of, as Qiskit's programs do. */
const ownGates = (text: string, basis: readonly string[]): string =>
  text.replace(/^gate (\w+)[^{]*\{[^}]*\}\n/gm, (definition, name: string) => (basis.includes(name) ? '' : definition));

/** Only the gates of the device, only between neighbours: others are refused since March 2024. */
function checkWritten(circuit: Circuit, device: JSONObject): void {
  const { basis_gates: basis, coupling_map: coupling, supported_instructions: can, n_qubits } = device;
  if (circuit.qubits !== n_qubits) throw breach(`${circuit.qubits} qubits`);
  if (bitsOf(circuit) === 0) throw breach('a circuit that measures nothing');
  const pairs = new Set((coupling as number[][]).map((pair) => pair.join()));
  const check = (operation: Operation): void => {
    switch (operation.kind) {
      case 'gate': {
        const name = 'c'.repeat(operation.controls.length) + operation.gate.name;
        const qubits = [...operation.controls.map(({ qubit }) => qubit), ...operation.targets];
        if (!(basis as string[]).includes(name)) throw breach(`the gate ${name}`);
        if (qubits.length === 2 && !pairs.has(qubits.join())) throw breach(`${name} on ${qubits.join()}`);
        return;
      }
      case 'branch':
        if (!(can as string[]).includes('if_else')) throw breach('a branch');
        return [...operation.body, ...operation.otherwise].forEach(check);
      case 'loop':
        throw breach('a loop');
      case 'reset':
      case 'measure':
      case 'barrier':
    }
  };
  circuit.operations.forEach(check);
}

function list({ query }: Request, server: ContractServer): Answer {
  only(Object.fromEntries(query), [
    'limit',
    'offset',
    'pending',
    'program',
    'backend',
    'created_after',
    'created_before',
    'sort',
    'tags',
    'session_id',
    'exclude_params',
  ]);
  const jobs = server.jobs.filter(({ name }) => query.getAll('tags').includes(name)).toReversed();
  return { status: 200, body: { jobs: jobs.map(jobJSON), count: jobs.length, limit: 200, offset: 0 } };
}

function jobJSON(job: ServedJob): JSONObject {
  const why = {
    reason: 'Error in the validation process of the job.',
    reason_code: 1002,
    reason_solution: 'Check the Job.',
  };
  const state: JSONObject = { status: words[job.state], ...(job.state === 'failed' ? why : {}) };
  return {
    id: job.id,
    backend: job.device,
    state,
    status: words[job.state],
    program: { id: 'sampler' },
    created: '2025-05-28T20:47:05.440Z',
    tags: [job.name],
    cost: 10_000,
  };
}

/** A sample per shot and register, hexadecimal. */
function results({ circuit, shots }: ServedJob): JSONObject {
  const { counts } = outcomeOf(circuit, shots);
  const data: Record<string, { samples: string[]; num_bits: number }> = {};
  for (const { name, size } of circuit.registers) data[name] = { samples: [], num_bits: size };
  for (const [bits, count] of Object.entries(counts))
    bits
      .split(' ')
      .toReversed()
      .forEach((text, at) => {
        const sample = `0x${BigInt(`0b${text}`).toString(16)}`;
        data[circuit.registers[at]?.name ?? '']?.samples.push(...new Array<string>(count).fill(sample));
      });
  return { results: [{ data, metadata: {} }], metadata: { version: 2 } };
}

function only(given: Record<string, unknown>, known: readonly string[]): void {
  for (const key of Object.keys(given)) if (!known.includes(key)) throw breach(`the field ${key}`);
}

const failure = (status: number, code: number, message: string): Answer => ({
  status,
  body: {
    errors: [
      {
        code,
        message,
        solution: 'View the error code registry.',
        more_info: 'https://quantum.cloud.ibm.com/docs/errors',
      },
    ],
    trace: 'c5dge2d3rn7breq27i9g',
  },
});

const breach = (why: string, status = 400): Breach => new Breach(`IBM: ${why}`, failure(status, 1211, why));
