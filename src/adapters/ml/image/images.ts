import { type BytesContext, type BytesDeps, type BytesKind, findBytes, fromBase64 } from '../../../kit/named-bytes.ts';
import { isStoredData } from '../../../kit/rows.ts';
import { storedBytes } from '../../../kit/stored-bytes.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { Processes } from '../process/processes.ts';
import { checkSize, type Tensor, tensorLimits } from '../tensor/tensor.ts';
import type { DecodeAnswer, DecodeRequest } from './messages.ts';

/** Of one file, and of all that are decoded together. */
const fileBytesMax = 64 * 1024 * 1024;
const filesBytesMax = tensorLimits.bytesMax;

export interface ImageDeps extends BytesDeps {
  processes: Pick<Processes, 'call'>;
}

/** Whether a value is `{ "image_file": … }`, or a list that begins with one. */
export function areImages(value: JSONValue): boolean {
  const first: JSONValue | undefined = Array.isArray(value) ? value[0] : value;
  return isObject(first) && Object.hasOwn(first, 'image_file') && Object.keys(first).length === 1;
}

/**
 * The pixels of `{ "image_file": … }`, or of a list of these: a file of the node, a URL, `{ base64 }` or stored bytes each. They come as uint8, of
 * shape [images, height, width, channels], without the first axis for one alone.
 *
 * @param path of the value, for errors
 * @throws StepError ML_INVALID_IMAGE, ML_INPUT_MISMATCH where they differ in size, ML_TENSOR_TOO_LARGE, ML_PACKAGE_MISSING, IMAGE_NOT_FOUND,
 *   IMAGE_FETCH_FAILED, IMAGE_TOO_LARGE, INVALID_PARAMS, EGRESS_DENIED
 */
export async function readImages(
  value: JSONValue,
  path: string,
  { channels, resize }: Pick<DecodeRequest, 'channels' | 'resize'>,
  context: BytesContext,
  deps: ImageDeps,
): Promise<Tensor> {
  const list = Array.isArray(value) ? value : [value];
  const images: DecodeRequest['images'][number][] = [];
  let size = 0;
  for (const [index, one] of list.entries()) {
    const place = Array.isArray(value) ? `${path}[${index}]` : path;
    if (!areImages(one) || Array.isArray(one))
      throw new StepError('INVALID_PARAMS', `${place} must be { "image_file": … }, as the first is`);
    const bytes = await bytesOf((one as JSONObject).image_file ?? null, `${place}.image_file`, context, deps);
    size += bytes.length;
    if (size > filesBytesMax)
      throw new StepError(
        'ML_TENSOR_TOO_LARGE',
        `the files of ${path} have more than the ${filesBytesMax} bytes that are decoded together: use ml_batch`,
      );
    images.push({ bytes, path: place });
  }
  if (resize !== undefined) checkSize('uint8', [list.length, resize.height, resize.width, channels], path);
  const args: DecodeRequest = { images, channels, resize };
  const { signal } = context;
  const answer = await deps.processes.call('image', 'cpu', { method: 'decode', args }, { signal });
  const { width, height, pixels } = answer as DecodeAnswer;
  const shape = [height, width, channels];
  return {
    dtype: 'uint8',
    shape: Array.isArray(value) ? [list.length, ...shape] : shape,
    data: pixels as Uint8Array<ArrayBuffer>,
  };
}

async function bytesOf(value: JSONValue, path: string, context: BytesContext, deps: ImageDeps): Promise<Uint8Array> {
  const kind: BytesKind = { noun: 'image', codes: 'IMAGE', param: path, bytesMax: fileBytesMax };
  // The receipt names files. What stands in the step's input is in its digest already.
  if (typeof value === 'string') return (await findBytes(value, undefined, kind, context, deps)).read();
  if (isStoredData(value) && value.stored === 'bytes')
    return storedBytes(value, context, fileBytesMax, 'IMAGE_TOO_LARGE');
  if (isObject(value) && typeof value.base64 === 'string') return fromBase64(value.base64, path);
  throw new StepError(
    'INVALID_PARAMS',
    `${path} must be the name of a file, a URL, { "base64": … } or stored bytes of an image`,
  );
}
