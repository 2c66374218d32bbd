import { messageOf, StepError } from '../../../lib/errors.ts';
import { optionalPackage } from '../process/package.ts';
import { checkSize } from '../tensor/tensor.ts';
import type { DecodeAnswer, DecodeRequest } from './messages.ts';
import { resample } from './resample.ts';

type Sharp = typeof import('sharp')['default'];

/** Of one image: a small file can claim any size. */
const pixelsMax = 100_000_000;

/** What is read: no vectors and no documents, whose readers open files and links. */
const readers = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Tiff'].map((name) => `VipsForeignLoad${name}`);

let loaded: Sharp | undefined;

function load(): Sharp {
  if (loaded !== undefined) return loaded;
  loaded = optionalPackage<Sharp>('sharp', 'images need');
  loaded.block({ operation: ['VipsForeignLoad'] });
  loaded.unblock({ operation: readers });
  loaded.cache(false);
  return loaded;
}

/** Decodes images, upright as their EXIF data say, in sRGB with 8 bits a channel; alpha is left out where it isn't wanted. */
async function decode({ images, channels, resize }: DecodeRequest): Promise<DecodeAnswer> {
  const sharp = load();
  let all: Uint8Array | undefined;
  let size = { width: 0, height: 0 };
  for (const [index, { bytes, path }] of images.entries()) {
    const { data, width, height } = await decodeOne(sharp, bytes, path, channels, resize);
    if (all === undefined) {
      checkSize('uint8', [images.length, height, width, channels], path);
      all = new Uint8Array(data.length * images.length);
      size = { width, height };
    }
    if (width !== size.width || height !== size.height)
      throw new StepError(
        'ML_INPUT_MISMATCH',
        `${path} has ${width}×${height} pixels, and the first image ${size.width}×${size.height}: give params.preprocess.resize`,
      );
    all.set(data, index * data.length);
  }
  return { ...size, pixels: all ?? new Uint8Array() };
}

async function decodeOne(
  sharp: Sharp,
  bytes: Uint8Array,
  path: string,
  channels: DecodeRequest['channels'],
  resize: DecodeRequest['resize'],
): Promise<{ data: Uint8Array | Uint8ClampedArray; width: number; height: number }> {
  const { data, info } = await pixelsOf(sharp, bytes, path, channels);
  if (resize === undefined) return { data, width: info.width, height: info.height };
  const { width, height } = resize;
  const from = { outer: 1, height: info.height, width: info.width, inner: channels };
  // As pixels are: rounded, and no less or more than there is.
  return { data: Uint8ClampedArray.from(resample(data, from, resize)), width, height };
}

async function pixelsOf(sharp: Sharp, bytes: Uint8Array, path: string, channels: DecodeRequest['channels']) {
  try {
    let image = sharp(bytes, { limitInputPixels: pixelsMax })
      .autoOrient()
      .toColourspace(channels === 1 ? 'b-w' : 'srgb');
    image = channels === 4 ? image.ensureAlpha() : image.removeAlpha();
    return await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  } catch (thrown) {
    const [line = ''] = messageOf(thrown).split('\n');
    throw new StepError(
      'ML_INVALID_IMAGE',
      `${path} can't be read as an image (JPEG, PNG, WebP, GIF or TIFF, of at most ${pixelsMax} pixels): ${line}`,
    );
  }
}

/** What the process that decodes images answers: it reads what anybody may have made. */
export const imageHandlers = { decode };
