import { redactBytes, storeBytes } from '../../../kit/stored-bytes.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { DType } from './dtype.ts';
import { fromHalf } from './half.ts';
import type { Tensor } from './tensor.ts';

/** How a tensor stands in an output: as lists, or as `{ dtype, shape, data }` with bytes in line or stored. */
export const tensorForms = ['list', 'base64', 'stored'] as const;
export type TensorForm = (typeof tensorForms)[number];

/** Elements that an output holds as lists; more are stored as bytes. */
const listElementsMax = 250_000;
/** Bytes that an output holds itself. */
const inlineBytesMax = 1024 * 1024;
const pieceBytes = 4 * 1024 * 1024;

/**
 * A tensor as JSON. What is too large for the form is stored: a step that is given it reads it all the same.
 * Numbers that JSON doesn't have become strings, as `readTensor` takes them.
 */
export async function tensorJSON(
  tensor: Tensor,
  context: Pick<AdapterContext, 'blobs' | 'redact'>,
  form: TensorForm = 'list',
): Promise<JSONValue> {
  const { dtype, shape, data } = tensor;
  if (Array.isArray(data) || (form === 'list' && data.length <= listElementsMax)) return listsOf(tensor);
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const held =
    form === 'base64' && bytes.length <= inlineBytesMax
      ? { base64: redactBytes(bytes, context.redact).toString('base64') }
      : ((await storeBytes(piecesOf(bytes), undefined, 'application/octet-stream', context)) as unknown as JSONObject);
  return { dtype, shape: [...shape], data: held };
}

/** Stored piece by piece, so that nothing holds all of it once more. */
function* piecesOf(bytes: Buffer): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += pieceBytes) yield bytes.subarray(from, from + pieceBytes);
}

/** Lists of lists, one level an axis; a value where there is none. */
export function listsOf({ dtype, shape, data }: Tensor): JSONValue {
  const value = reader(dtype, data as ArrayLike<number | bigint | string>);
  let at = 0;
  const build = (axis: number): JSONValue => {
    const length = shape[axis];
    if (length === undefined) return value(at++);
    const list = new Array<JSONValue>(length);
    if (axis === shape.length - 1) for (let index = 0; index < length; index += 1) list[index] = value(at++);
    else for (let index = 0; index < length; index += 1) list[index] = build(axis + 1);
    return list;
  };
  return build(0);
}

function reader(dtype: DType, data: ArrayLike<number | bigint | string>): (at: number) => JSONValue {
  switch (dtype) {
    case 'string':
      return (at) => String(data[at]);
    case 'bool':
      return (at) => data[at] !== 0;
    case 'int64':
    case 'uint64':
      return (at) => wholeValue(data[at] as bigint);
    case 'float16':
      return (at) => realValue(fromHalf(data[at] as number));
    default:
      return (at) => realValue(data[at] as number);
  }
}

const wholeValue = (value: bigint): JSONValue => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
};

/** JSON has no such numbers, and takes no integers beyond 2^53. A zero keeps no sign. */
const realValue = (value: number): JSONValue => {
  if (!Number.isFinite(value)) return String(value);
  return Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21
    ? BigInt(value).toString()
    : value + 0;
};
