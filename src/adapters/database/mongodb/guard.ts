import { StepError } from '../../../lib/errors.ts';
import type { JSONValue } from '../../../lib/json.ts';
import { effectField } from './effect.ts';

/** JavaScript that runs in the server. */
const code = new Set(['$where', '$function', '$accumulator', '$code', '$scope']);
/** Stages that write, or never end. */
const stages = new Set(['$out', '$merge', '$changeStream', '$changeStreamSplitLargeEvent']);

const invalid = (message: string): StepError => new StepError('INVALID_PARAMS', message);

/**
 * Refuses what no filter, update or pipeline may hold at any depth, even as data, since values come by reference.
 * @param where for errors, such as `params.filter`
 * @throws StepError UNSUPPORTED, READ_ONLY, INVALID_PARAMS
 */
export function guardQuery(value: JSONValue | undefined, where: string): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const one of value) guardQuery(one, where);
    return;
  }
  for (const name of Object.keys(value)) {
    if (name.startsWith('$')) {
      if (code.has(name))
        throw new StepError('UNSUPPORTED', `${where}: ${name} runs code in the server and is refused`);
      if (stages.has(name)) throw new StepError('READ_ONLY', `${where}: ${name} is refused: a query reads, and ends`);
    }
    if (name.includes('\0')) throw invalid(`${where}: a name holds a NUL character`);
    if (name === effectField || name.startsWith(`${effectField}.`))
      throw invalid(`${where}: the field ${effectField} is kept by JSONFlow`);
    guardQuery(value[name], where);
  }
}

/** @throws StepError INVALID_PARAMS */
export function collectionName(value: JSONValue | undefined): string {
  if (typeof value !== 'string' || value === '' || value.length > 200)
    throw invalid('params.collection must be a name');
  if (/[\0$]/.test(value) || value.startsWith('system.') || value.startsWith('.') || value.endsWith('.'))
    throw invalid('params.collection: names of collections hold no $ and no NUL, and don\'t begin with "system."');
  if (value.startsWith(effectField))
    throw invalid(`params.collection: collections named ${effectField}… are kept by JSONFlow`);
  return value;
}
