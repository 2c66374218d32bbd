import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Weights } from './tfjs-weights.ts';
export function convertLayers(_t: JSONObject, _w: Weights): Uint8Array {
  throw new StepError('ML_UNSUPPORTED_MODEL', 'not yet');
}
