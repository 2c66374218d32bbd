import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { Call } from '../driver.ts';
import { invalidParams, SqlFailure } from '../errors.ts';
import { resultOf } from '../result.ts';
import { insertWithin, queryWithin, type Scope, updateWithin } from './operations.ts';
import { withResults } from './results.ts';
import type { Session } from './session.ts';

const operationsMax = 1_000;

interface Operation {
  id: string;
  type: 'query' | 'insert' | 'update';
  params: JSONObject;
}

/** `params.operations`, checked. @throws StepError INVALID_PARAMS */
export function operationsOf(params: JSONObject): Operation[] {
  const { operations } = params;
  if (!Array.isArray(operations) || operations.length === 0)
    throw invalidParams('params.operations must be a list of operations');
  if (operations.length > operationsMax)
    throw invalidParams(`params.operations has more than ${operationsMax} members`);
  const ids = new Set<string>();
  return operations.map((value: JSONValue, index) => {
    const at = `params.operations[${index}]`;
    if (!isObject(value)) throw invalidParams(`${at} must be an object`);
    const { id = `op_${index}`, type: given, ...rest } = value as JSONObject;
    const type = typeof given === 'string' ? given.replace(/^db_/, '') : given;
    if (type !== 'query' && type !== 'insert' && type !== 'update')
      throw invalidParams(`${at}.type must be "query", "insert" or "update"`);
    if (typeof id !== 'string' || ids.has(id)) throw invalidParams(`${at}.id must be a text of its own`);
    if (rest.options !== undefined) throw invalidParams(`${at}.options: options are those of the whole transaction`);
    ids.add(id);
    return { id, type, params: rest };
  });
}

/** All operations within the session's transaction, one after the other. */
export async function runOperations(
  session: Session,
  params: JSONObject,
  call: Call,
  scope: Scope,
): Promise<JSONObject> {
  const results = new Map<string, JSONObject>();
  for (const [index, { id, type, params: given }] of operationsOf(params).entries()) {
    call.signal.throwIfAborted();
    const at = `params.operations[${index}]`;
    try {
      const resolved = withResults(given, results, at);
      const output = await runOne(type, session, resolved, call, scope);
      results.set(id, { ...output, result: resultOf(`db_${type}`, output) });
    } catch (thrown) {
      throw placed(thrown, at);
    }
  }
  const all = Object.fromEntries(results);
  return { transaction_completed: true, operations_count: results.size, results: all };
}

function runOne(
  type: Operation['type'],
  session: Session,
  params: JSONObject,
  call: Call,
  scope: Scope,
): Promise<JSONObject> {
  switch (type) {
    case 'query':
      return queryWithin(session, params, call, scope);
    case 'insert':
      return insertWithin(session, params, call, scope);
    case 'update':
      return updateWithin(session, params, call, scope);
  }
}

/** The same failure, saying which operation it was. */
function placed(thrown: unknown, at: string): unknown {
  if (thrown instanceof SqlFailure) {
    const { code, message, kind, retryable, effect, state, broken } = thrown;
    return new SqlFailure(code, `${at}: ${message}`, { kind, retryable, effect, state, broken, cause: thrown });
  }
  if (thrown instanceof StepError && thrown.code === 'INVALID_PARAMS' && !thrown.message.startsWith(at))
    return invalidParams(`${at}: ${thrown.message}`);
  return thrown;
}
