import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { Circuit, GateOperation } from '../circuit/circuit.ts';
import { transpile } from '../transpile/transpile.ts';
import { keyOf, rounded } from './counts.ts';
import { ApiClient, type HttpAnswer, type HttpRequest, RefusedError, saidBy } from './http.ts';
import type {
  Device,
  JobStatus,
  Measured,
  PreparedJob,
  Provider,
  ProviderConfig,
  ProviderOptions,
  Transpile,
} from './provider.ts';

const publicUrl = 'https://api.ionq.co/v0.4';

/** The gates that are used of its `qis` set, by our names. */
const qis: Readonly<Record<string, string>> = {
  x: 'x',
  y: 'y',
  z: 'z',
  h: 'h',
  s: 's',
  sdg: 'si',
  t: 't',
  tdg: 'ti',
  sx: 'v',
  sxdg: 'vi',
  rx: 'rx',
  ry: 'ry',
  rz: 'rz',
  swap: 'swap',
  cx: 'cnot',
};
const shotsMax = 1_000_000;
/** Where jobs are looked for by name: the newest so many pages. */
const pagesMax = 40;
const pageSize = 25;

const states: Readonly<Record<string, JobStatus['state']>> = {
  submitted: 'queued',
  ready: 'queued',
  started: 'running',
  running: 'running',
  completed: 'completed',
  failed: 'failed',
  canceled: 'cancelled',
};
/** Failures that are no fault of the circuit. */
const ownFailures = ['InternalError', 'QuantumComputerError', 'SystemCancel', 'SimulationTimeout', 'OptimizationError'];

/**
 * IonQ's quantum cloud by its REST API v0.4 (https://docs.ionq.com/api-reference/v0.4): jobs in the gate set `qis`, all qubits measured
 * at the end. It gives shares of the outcomes, of which counts are made by rounding to the nearest. Tested against a server that holds to
 * the published documentation, not against the real one.
 */
export class IonqProvider implements Provider {
  readonly name = 'ionq';
  readonly #token: string;
  readonly #transpile: Transpile;
  readonly #api: ApiClient;

  constructor({ token, baseUrl = publicUrl }: ProviderConfig, options: ProviderOptions) {
    this.#token = token;
    this.#transpile = options.transpile ?? (async (circuit, target) => transpile(circuit, target));
    this.#api = new ApiClient(baseUrl, 'IonQ', 'base_url', options);
  }

  async devices(signal: AbortSignal): Promise<Device[]> {
    const listed = await this.#ask({ method: 'GET', path: '/backends' }, signal);
    if (!Array.isArray(listed)) throw invalid('a list of devices');
    return listed.map((device) => {
      const { backend, qubits, status } = isObject(device) ? device : {};
      return {
        name: String(backend),
        qubits: typeof qubits === 'number' ? qubits : undefined,
        status: String(status),
      };
    });
  }

  async prepare(circuit: Circuit, shots: number, device: string, signal: AbortSignal): Promise<PreparedJob> {
    if (shots > shotsMax)
      throw new StepError('INVALID_PARAMS', `params.shots is ${shots}; IonQ takes ${shotsMax} at most`);
    const known = (await this.devices(signal)).find(({ name }) => name === device);
    if (known?.qubits !== undefined && circuit.qubits > known.qubits)
      throw new StepError(
        'CIRCUIT_TOO_LARGE',
        `the circuit has ${circuit.qubits} qubits, ${device} ${known.qubits}: choose a larger device or a simulator`,
      );
    const transpiled = await this.#transpile(circuit, {
      basis: Object.keys(qis),
      qubits: circuit.qubits,
      branches: false,
      loops: false,
      midCircuit: false,
    });
    const gates = transpiled.circuit.operations.filter((operation) => operation.kind === 'gate');
    return {
      transpiled,
      payload: {
        type: 'ionq.circuit.v1',
        backend: device,
        shots,
        input: { qubits: circuit.qubits, gateset: 'qis', circuit: gates.map(gateJSON) },
      },
    };
  }

  async find(jobName: string, signal: AbortSignal): Promise<string | undefined> {
    let next = '';
    for (let page = 0; page < pagesMax; page += 1) {
      const path = `/jobs?limit=${pageSize}${next === '' ? '' : `&next=${encodeURIComponent(next)}`}`;
      const listed = await this.#ask({ method: 'GET', path }, signal);
      if (!isObject(listed) || !Array.isArray(listed.jobs)) throw invalid('a list of jobs');
      const found = listed.jobs.find(
        (job) => isObject(job) && job.name === jobName && !['failed', 'canceled'].includes(String(job.status)),
      );
      if (isObject(found) && typeof found.id === 'string') return found.id;
      if (typeof listed.next !== 'string' || listed.next === '') return undefined;
      next = listed.next;
    }
    return undefined;
  }

  async submit({ payload }: PreparedJob, jobName: string, signal: AbortSignal): Promise<string> {
    const body = { ...payload, name: jobName };
    const made = await this.#ask({ method: 'POST', path: '/jobs', body: JSON.stringify(body) }, signal);
    if (!isObject(made) || typeof made.id !== 'string') throw invalid('the id of the job');
    return made.id;
  }

  async status(id: string, signal: AbortSignal): Promise<JobStatus | undefined> {
    const answer = await this.#call({ method: 'GET', path: `/jobs/${encodeURIComponent(id)}` }, signal);
    if (answer.status === 404) return undefined;
    const job = this.#checked(answer);
    const state = isObject(job) ? states[String(job.status)] : undefined;
    if (!isObject(job) || state === undefined) throw invalid('a status that is known');
    const failure = isObject(job.failure) ? job.failure : {};
    const wait = job.predicted_wait_time_ms;
    return {
      state,
      waitMs: typeof wait === 'number' ? wait : undefined,
      reason: [failure.code, failure.message]
        .map((text) => saidBy(text, this.#token))
        .filter(Boolean)
        .join(': '),
      retryable: ownFailures.includes(String(failure.code)),
    };
  }

  async result(id: string, circuit: Circuit, shots: number, signal: AbortSignal): Promise<Measured> {
    const path = `/jobs/${encodeURIComponent(id)}/results/probabilities`;
    const given = await this.#ask({ method: 'GET', path }, signal);
    if (!isObject(given)) throw invalid('probabilities');
    const measurements = circuit.operations.filter((operation) => operation.kind === 'measure');
    const shares: Record<string, number> = {};
    for (const [state, share] of Object.entries(given)) {
      if (!/^\d{1,80}$/.test(state) || typeof share !== 'number' || !(share >= 0)) throw invalid('probabilities');
      if (share === 0) continue;
      const key = keyFor(BigInt(state), measurements, circuit);
      shares[key] = (shares[key] ?? 0) + share;
    }
    if (Object.keys(shares).length === 0) throw invalid('probabilities');
    return { counts: rounded(shares, shots), probabilities: shares };
  }

  async cancel(id: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#call({ method: 'PUT', path: `/jobs/${encodeURIComponent(id)}/status/cancel` }, signal);
    if (answer.status >= 500 || answer.status === 429) this.#checked(answer);
  }

  async #ask(request: Omit<HttpRequest, 'headers'>, signal: AbortSignal): Promise<JSONValue | undefined> {
    return this.#checked(await this.#call(request, signal));
  }

  #call(request: Omit<HttpRequest, 'headers'>, signal: AbortSignal): Promise<HttpAnswer> {
    const headers = {
      authorization: `apiKey ${this.#token}`,
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    return this.#api.call({ ...request, headers }, signal);
  }

  #checked(answer: HttpAnswer): JSONValue | undefined {
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    const said = isObject(answer.body) ? saidBy(answer.body.message, this.#token) : '';
    throw new RefusedError('IonQ', answer, said);
  }
}

function gateJSON({ gate, targets, controls }: GateOperation): JSONObject {
  const name = qis[controls.length > 0 ? `c${gate.name}` : gate.name] ?? gate.name;
  const [target = 0] = targets;
  return {
    gate: name,
    ...(targets.length > 1 ? { targets: [...targets] } : { target }),
    ...(controls[0] === undefined ? {} : { control: controls[0].qubit }),
    ...(gate.params[0] === undefined ? {} : { rotation: gate.params[0] }),
  };
}

/** A state of all qubits, qubit 0 the least significant, as the bits that were measured. */
function keyFor(state: bigint, measurements: readonly { qubit: number; bit: number }[], circuit: Circuit): string {
  let bits = 0n;
  for (const { qubit, bit } of measurements) {
    const place = 1n << BigInt(bit);
    // The last measurement into a bit is the one that stays.
    bits = ((state >> BigInt(qubit)) & 1n) === 1n ? bits | place : bits & ~place;
  }
  let from = 0n;
  const values = circuit.registers.map(({ size }) => {
    const value = (bits >> from) & ((1n << BigInt(size)) - 1n);
    from += BigInt(size);
    return value;
  });
  return keyOf(values, circuit);
}

const invalid = (what: string): StepError =>
  new StepError('QUANTUM_RESPONSE_INVALID', `IonQ did not answer with ${what}, as its documentation says`);
