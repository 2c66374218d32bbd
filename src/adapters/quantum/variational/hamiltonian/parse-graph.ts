import type { JSONValue } from '../../../../lib/json.ts';
import { refuse } from '../../formats/gate-list/fields.ts';
import { qubitsMax } from '../../formats/gate-list/read.ts';
import { fieldsOf, numberIn } from '../fields.ts';
import type { Edge, Graph, Ising } from './graphs.ts';

const weightMax = 1e12;

/**
 * `{ "nodes": 3, "edges": [[0, 1], [1, 2, 0.5]] }`; the weight of an edge is 1 unless stated.
 * @throws StepError INVALID_PARAMS with the path of what is wrong
 */
export function parseGraph(json: JSONValue, path: string): Graph {
  const fields = fieldsOf(json, path, 'nodes', '{ "nodes": 3, "edges": [[0, 1], [1, 2, 0.5]] }');
  const nodes = numberIn(fields.take('nodes'), fields.at('nodes'), { min: 2, max: qubitsMax, whole: true });
  const edges = parseEdges(fields.take('edges'), fields.at('edges'), nodes, 1);
  fields.end('a graph');
  if (edges.length === 0) throw refuse(`${path}.edges`, 'has no edges');
  return { nodes, edges };
}

/**
 * `{ "h": [0.5, -0.5, 0], "J": [[0, 1, 1.0]] }`, the energy `Σ h_i s_i + Σ J_ij s_i s_j` of spins ±1; either may be absent. Without `h`
 * there are as many spins as `spins` says, or the highest that J names.
 * @throws StepError INVALID_PARAMS with the path of what is wrong
 */
export function parseIsing(json: JSONValue, path: string): Ising {
  const fields = fieldsOf(json, path, 'h', '{ "h": [0.5, -0.5], "J": [[0, 1, 1.0]] }');
  const h = fields.take('h');
  const given = fields.take('spins');
  if (h !== undefined && !Array.isArray(h)) throw refuse(fields.at('h'), 'must be a list of numbers, one per spin');
  const stated =
    given === undefined ? undefined : numberIn(given, fields.at('spins'), { min: 1, max: qubitsMax, whole: true });
  const values = h?.map((value, at) =>
    numberIn(value, `${fields.at('h')}[${at}]`, { min: -weightMax, max: weightMax }),
  );
  if (values !== undefined && values.length > qubitsMax)
    throw refuse(fields.at('h'), `has ${values.length} spins, more than ${qubitsMax}`);
  if (values !== undefined && stated !== undefined && values.length !== stated)
    throw refuse(fields.at('h'), `has ${values.length} numbers, and there are ${stated} spins`);
  const J = fields.take('J');
  const bound = stated ?? values?.length;
  const couplings = J === undefined ? [] : parseEdges(J, fields.at('J'), bound ?? qubitsMax);
  fields.end('an Ising model');
  const spins = bound ?? 1 + Math.max(-1, ...couplings.flatMap(({ a, b }) => [a, b]));
  if (spins === 0) throw refuse(path, 'has neither h nor J');
  return { fields: values ?? Array.from({ length: spins }, () => 0), couplings };
}

/** @param fallback weight of an edge that has none; without it each must have one */
function parseEdges(json: JSONValue | undefined, path: string, nodes: number, fallback?: number): Edge[] {
  const example = fallback === undefined ? '[[0, 1, 1.0]]' : '[[0, 1], [1, 2, 0.5]]';
  if (!Array.isArray(json)) throw refuse(path, `must be a list such as ${example}`);
  const seen = new Set<string>();
  return json.map((entry, index) => {
    const at = `${path}[${index}]`;
    if (!Array.isArray(entry) || entry.length > 3 || entry.length < (fallback === undefined ? 3 : 2))
      throw refuse(at, `must be two numbers of nodes and a weight, as in ${example}`);
    const [a, b] = [0, 1].map((end) =>
      numberIn(entry[end], `${at}[${end}]`, { min: 0, max: nodes - 1, whole: true }),
    ) as [number, number];
    if (a === b) throw refuse(at, `joins ${a} with itself`);
    const key = `${Math.min(a, b)},${Math.max(a, b)}`;
    if (seen.has(key)) throw refuse(at, `joins ${a} and ${b} a second time`);
    seen.add(key);
    const weight = entry.length === 3 ? numberIn(entry[2], `${at}[2]`, { min: -weightMax, max: weightMax }) : fallback;
    return { a, b, weight: weight ?? 1 };
  });
}
