import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONValue } from '../../../lib/json.ts';
import type { Circuit } from '../circuit/circuit.ts';
import { toQasm3 } from '../formats/qasm/write.ts';
import { entanglers, type Target } from '../transpile/target.ts';
import { transpile } from '../transpile/transpile.ts';
import { keyOf } from './counts.ts';
import { ApiClient, type HttpAnswer, type HttpRequest, RefusedError, saidBy } from './http.ts';
import { AccessToken } from './iam.ts';
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

const apiVersion = '2025-05-01';
/** Gates that a circuit is written with where the device has them: angles of its others are limited. */
const used: readonly string[] = ['rz', 'sx', 'x', ...entanglers.filter((name) => name !== 'rzz')];

const states: Readonly<Record<string, JobStatus['state']>> = {
  queued: 'queued',
  running: 'running',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
};

/**
 * IBM Quantum by the Qiskit Runtime REST API (https://quantum.cloud.ibm.com/docs/api/qiskit-runtime-rest): the sampler, version 2, with a
 * circuit that is written for the device beforehand. Tested against a server that holds to the published documentation, not against the
 * real one.
 */
export class IbmProvider implements Provider {
  readonly name = 'ibm';
  readonly #token: string;
  readonly #transpile: Transpile;
  readonly #instance: string;
  readonly #api: ApiClient;
  readonly #access: AccessToken;

  constructor({ token, instance, baseUrl, iamUrl }: ProviderConfig, options: ProviderOptions) {
    if (instance === undefined || !/^crn:[\x21-\x7e]{1,1000}$/.test(instance))
      throw new StepError('INVALID_PARAMS', 'ibm needs the CRN of the service instance: give instance, "crn:v1:…"');
    this.#token = token;
    this.#transpile = options.transpile ?? (async (circuit, target) => transpile(circuit, target));
    this.#instance = instance;
    this.#api = new ApiClient(baseUrl ?? publicUrl(instance), 'IBM Quantum', 'base_url', options);
    this.#access = new AccessToken(token, iamUrl, options);
  }

  async devices(signal: AbortSignal): Promise<Device[]> {
    const listed = await this.#ask({ method: 'GET', path: '/backends' }, signal);
    if (!isObject(listed) || !Array.isArray(listed.devices)) throw invalid('a list of devices');
    return listed.devices.map((device) => {
      const { name, qubits, status } = isObject(device) ? device : { name: device };
      return {
        name: String(name),
        qubits: typeof qubits === 'number' ? qubits : undefined,
        status: String(isObject(status) ? status.name : (status ?? 'listed')),
      };
    });
  }

  async prepare(circuit: Circuit, shots: number, device: string, signal: AbortSignal): Promise<PreparedJob> {
    const path = `/backends/${encodeURIComponent(device)}/configuration`;
    const { target, shotsMax } = configured(await this.#ask({ method: 'GET', path }, signal));
    if (shotsMax !== undefined && shots > shotsMax)
      throw new StepError('INVALID_PARAMS', `params.shots is ${shots}; ${device} takes ${shotsMax} at most`);
    const transpiled = await this.#transpile(circuit, target);
    const text = toQasm3({ ...transpiled.circuit, registers: circuit.registers.map(ownName) });
    return {
      transpiled,
      payload: { program_id: 'sampler', backend: device, params: { pubs: [[text, null, shots]], version: 2 } },
    };
  }

  async find(jobName: string, signal: AbortSignal): Promise<string | undefined> {
    const path = `/jobs?tags=${encodeURIComponent(jobName)}&limit=50&exclude_params=true`;
    const listed = await this.#ask({ method: 'GET', path }, signal);
    if (!isObject(listed) || !Array.isArray(listed.jobs)) throw invalid('a list of jobs');
    const found = listed.jobs.find(
      (job) =>
        isObject(job) &&
        Array.isArray(job.tags) &&
        job.tags.includes(jobName) &&
        !['failed', 'cancelled'].includes(stateOf(job) ?? ''),
    );
    return isObject(found) && typeof found.id === 'string' ? found.id : undefined;
  }

  async submit({ payload }: PreparedJob, jobName: string, signal: AbortSignal): Promise<string> {
    const body = JSON.stringify({ ...payload, tags: [jobName] });
    const made = await this.#ask({ method: 'POST', path: '/jobs', body }, signal);
    if (!isObject(made) || typeof made.id !== 'string') throw invalid('the id of the job');
    return made.id;
  }

  async status(id: string, signal: AbortSignal): Promise<JobStatus | undefined> {
    const path = `/jobs/${encodeURIComponent(id)}`;
    const answer = await this.#call({ method: 'GET', path: `${path}?exclude_params=true` }, signal);
    if (answer.status === 404) return undefined;
    const job = this.#checked(answer);
    const state = isObject(job) ? stateOf(job) : undefined;
    if (!isObject(job) || state === undefined) throw invalid('a status that is known');
    const told = isObject(job.state) ? job.state : {};
    const code = told.reason_code ?? told.reasonCode;
    return {
      state,
      queuePosition: state === 'queued' ? await this.#position(path, signal) : undefined,
      reason: [code === undefined ? '' : `code ${code}`, told.reason, told.reason_solution]
        .map((text) => this.#said(text))
        .filter(Boolean)
        .join('; '),
      // 1XXX: what goes wrong before or at the device; the registry of codes says to try again for these.
      retryable: [1000, 1006, 1008, 1010, 1011].includes(Number(code)),
    };
  }

  /** Not every job has metrics yet, and none of them has to say this. */
  async #position(path: string, signal: AbortSignal): Promise<number | undefined> {
    const { status, body } = await this.#call({ method: 'GET', path: `${path}/metrics` }, signal);
    const position = status === 200 && isObject(body) ? body.position_in_queue : undefined;
    return typeof position === 'number' ? position : undefined;
  }

  async result(id: string, circuit: Circuit, _shots: number, signal: AbortSignal): Promise<Measured> {
    const given = await this.#ask({ method: 'GET', path: `/jobs/${encodeURIComponent(id)}/results` }, signal);
    const first = isObject(given) && Array.isArray(given.results) ? given.results[0] : undefined;
    const data = isObject(first) && isObject(first.data) ? first.data : undefined;
    if (data === undefined) throw invalid('results');
    const columns = circuit.registers.map((register, at) => {
      if (register.size === 0) return undefined;
      const column = data[ownName(register, at).name];
      return isObject(column) && Array.isArray(column.samples) ? column.samples : undefined;
    });
    const lengths = new Set(columns.flatMap((column) => (column === undefined ? [] : [column.length])));
    const [length = 0] = lengths;
    if (lengths.size !== 1 || length === 0) throw invalid('as many samples for each register');
    const counts = new Map<string, number>();
    for (let shot = 0; shot < length; shot += 1) {
      const key = keyOf(
        columns.map((column, at) => (column === undefined ? 0n : sampled(column[shot], circuit.registers[at]?.size))),
        circuit,
      );
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return { counts: Object.fromEntries(Array.from(counts).sort(([a], [b]) => (a < b ? -1 : 1))) };
  }

  async cancel(id: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#call({ method: 'POST', path: `/jobs/${encodeURIComponent(id)}/cancel` }, signal);
    if (answer.status >= 500 || answer.status === 429) this.#checked(answer);
  }

  async #ask(request: Omit<HttpRequest, 'headers'>, signal: AbortSignal): Promise<JSONValue | undefined> {
    return this.#checked(await this.#call(request, signal));
  }

  async #call(request: Omit<HttpRequest, 'headers'>, signal: AbortSignal): Promise<HttpAnswer> {
    const answer = await this.#callOnce(request, signal);
    // It may have run out just now.
    if (answer.status !== 401 || !this.#access.forget()) return answer;
    return this.#callOnce(request, signal);
  }

  async #callOnce(request: Omit<HttpRequest, 'headers'>, signal: AbortSignal): Promise<HttpAnswer> {
    const headers = {
      authorization: `Bearer ${await this.#access.get(signal)}`,
      'service-crn': this.#instance,
      'ibm-api-version': apiVersion,
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    return this.#api.call({ ...request, headers }, signal);
  }

  #checked(answer: HttpAnswer): JSONValue | undefined {
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    const errors = isObject(answer.body) && Array.isArray(answer.body.errors) ? answer.body.errors : [];
    const said = errors.flatMap((error) => (isObject(error) ? [error.message, error.solution] : []));
    throw new RefusedError('IBM Quantum', answer, this.#said(said.filter(Boolean).join(' ')));
  }

  #said(text: unknown): string {
    return saidBy(text, this.#token, this.#access.current);
  }
}

/** An instance belongs to a region, and each has its own API. */
const publicUrl = (instance: string): string =>
  instance.split(':')[5] === 'eu-de'
    ? 'https://eu-de.quantum.cloud.ibm.com/api/v1'
    : 'https://quantum.cloud.ibm.com/api/v1';

function configured(given: JSONValue | undefined): { target: Target; shotsMax: number | undefined } {
  if (!isObject(given) || typeof given.n_qubits !== 'number' || !Array.isArray(given.basis_gates))
    throw invalid('the configuration of a device');
  const {
    n_qubits: qubits,
    basis_gates: basis,
    coupling_map: coupling,
    supported_instructions: can,
    max_shots,
  } = given;
  const names = Array.isArray(can) ? can.map(String) : [];
  return {
    target: {
      basis: basis.map(String).filter((name) => used.includes(name)),
      qubits,
      coupling: Array.isArray(coupling) ? coupling.map(pairOf) : undefined,
      branches: names.includes('if_else'),
      loops: names.includes('while_loop'),
    },
    shotsMax: typeof max_shots === 'number' ? max_shots : undefined,
  };
}

function pairOf(pair: JSONValue): [number, number] {
  const [a, b] = Array.isArray(pair) ? pair : [];
  if (typeof a !== 'number' || typeof b !== 'number') throw invalid('pairs of qubits');
  return [a, b];
}

/** Registers have names of ours there: those of circuits may be words that mean something else. */
const ownName = ({ size }: { size: number }, at: number): { name: string; size: number } => ({ name: `c${at}`, size });

function stateOf(job: Record<string, unknown>): JobStatus['state'] | undefined {
  const status = isObject(job.state) ? job.state.status : job.status;
  // "Cancelled - Ran too long" is one, too.
  return states[String(status).toLowerCase().split(' ')[0] ?? ''];
}

function sampled(sample: JSONValue | undefined, size = 0): bigint {
  if (typeof sample !== 'string' || !/^0x[0-9a-f]{1,1024}$/i.test(sample)) throw invalid('samples');
  const value = BigInt(sample);
  if (value >> BigInt(size) !== 0n) throw invalid(`samples of ${size} bits`);
  return value;
}

const invalid = (what: string): StepError =>
  new StepError('QUANTUM_RESPONSE_INVALID', `IBM Quantum did not answer with ${what}, as its documentation says`);
