import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { Circuit } from '../circuit/circuit.ts';
import { circuitTypeOf } from '../circuit-source.ts';
import { featureMapOf } from '../feature-map.ts';
import { writeGateList } from '../formats/gate-list/write.ts';
import { toQasm2, toQasm3 } from '../formats/qasm/write.ts';
import type { Job, JobHooks } from '../job.ts';
import { expectationsJSON, observablesOf } from '../observables.ts';
import { circuitFacts, shares, simulatorInfo, vectorJSON } from '../results.ts';
import type { exportForms } from '../schemas.ts';
import { simulate } from '../simulate/simulate.ts';
import { checkQubits, jobCircuit, requestOf, shotsOf } from './request.ts';

/** The state vector is given without being asked for, up to so many qubits. */
const vectorQubitsUsual = 10;
/** A larger one would be no JSON that anyone wants to read. */
const vectorQubitsMax = 20;

/** `quantum_circuit` on a simulator. */
export function runCircuit(job: Job, hooks: JobHooks): JSONObject {
  if (circuitTypeOf(job.params) === 'feature_map') return mapFeatures(job, hooks);
  const circuit = jobCircuit(job);
  const { params } = job;
  const shots = shotsOf(params);
  const observables = observablesOf(params.observables, circuit.qubits);
  const outcome = simulate(
    requestOf(job, circuit, {
      statevector: wantsVector(job, circuit),
      probabilities: shots === 0,
      observables: observables.map(({ sum }) => sum),
    }),
    hooks,
  );
  const { statevector, probabilities } = outcome;
  if (params.statevector === true && statevector === undefined)
    throw new StepError(
      'INVALID_PARAMS',
      'params.statevector is true, but a circuit with noise, or that measures or resets on the way, has no one state vector',
    );
  const given = shots > 0 ? shares(outcome.counts) : probabilities && aboveRounding(probabilities);
  if (given === undefined && statevector === undefined && observables.length === 0)
    throw new StepError(
      'INVALID_PARAMS',
      'params.shots is 0, but there are no exact probabilities: too many bits are measured, or a loop, or noise on many qubits, leaves shots as the only way. Ask for shots, or for observables',
    );
  return {
    counts: outcome.counts,
    ...(given === undefined ? {} : { probabilities: given }),
    ...(statevector === undefined ? {} : { statevector: vectorJSON(statevector) }),
    ...(observables.length === 0 ? {} : { expectation_values: expectationsJSON(observables, outcome.expectations) }),
    ...circuitFacts(circuit),
    shots,
    backend_info: simulatorInfo(job.backend.name, job.limits.qubitsMax, outcome),
    ...exportsOf(params.export, circuit),
  };
}

/** Amplitudes are off by about 1e-16, so what is smaller than the square of that, with room to spare, is 0. */
const aboveRounding = (probabilities: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(probabilities).filter(([, probability]) => probability > 1e-28));

/** Methods that keep no vector; they refuse a circuit that is asked for one. */
const vectorless = ['stabilizer', 'density_matrix'];

function wantsVector({ params: { statevector, noise }, backend }: Job, { qubits }: Circuit): boolean {
  if (statevector === undefined)
    return noise === undefined && qubits <= vectorQubitsUsual && !vectorless.includes(backend.method);
  if (statevector === true && qubits > vectorQubitsMax)
    throw new StepError(
      'CIRCUIT_TOO_LARGE',
      `params.statevector would be 2^${qubits} amplitudes; it is given for ${vectorQubitsMax} qubits at most. Ask for observables, or for shots`,
    );
  return statevector === true;
}

/** The rows of data, each with the features that its circuit gives. */
function mapFeatures(job: Job, { progress }: JobHooks): JSONObject {
  const { params } = job;
  const map = featureMapOf(params, (qubits) => checkQubits(qubits, job));
  const shots = typeof params.shots === 'number' ? params.shots : 0;
  const isExact = map.features === 'probabilities';
  const runs = map.rows.map((row, index) => {
    const outcome = simulate(
      requestOf(
        job,
        map.circuitOf(row),
        {
          observables: map.observables,
          expectations: shots > 0 ? 'shots' : 'exact',
          probabilities: isExact && shots === 0,
        },
        shots,
      ),
      { progress: () => undefined },
    );
    if (index % 16 === 0) progress(index / map.rows.length, `${index} of ${map.rows.length} rows`);
    const given: Readonly<Record<string, number>> = shots > 0 ? shares(outcome.counts) : (outcome.probabilities ?? {});
    const features = isExact
      ? map.names.map((name) => given[name.slice(2, -1)] ?? 0)
      : outcome.expectations.map(({ value }) => value);
    return { result: row.rebuilt(features), outcome };
  });
  const [first] = runs;
  const circuit = map.rows[0] === undefined ? undefined : map.circuitOf(map.rows[0]);
  return {
    result: runs.map(({ result }) => result) as JSONValue[],
    feature_names: [...map.names],
    count: runs.length,
    ...(circuit === undefined ? {} : circuitFacts(circuit)),
    shots,
    ...(first === undefined
      ? {}
      : { backend_info: simulatorInfo(job.backend.name, job.limits.qubitsMax, first.outcome) }),
  };
}

type ExportForm = (typeof exportForms)[number];

/** The circuit in other languages. */
export function exportsOf(wanted: JSONValue | undefined, circuit: Circuit): JSONObject {
  if (wanted === undefined) return {};
  const forms = (Array.isArray(wanted) ? wanted : [wanted]) as ExportForm[];
  return { exports: Object.fromEntries(forms.map((form) => [form, exported(form, circuit)])) };
}

function exported(form: ExportForm, circuit: Circuit): JSONValue {
  switch (form) {
    case 'qasm2':
      return toQasm2(circuit);
    case 'qasm3':
      return toQasm3(circuit);
    case 'gates':
      return writeGateList(circuit);
  }
}
