import { crc32, deflateSync, inflateSync } from 'node:zlib';

export interface Picture {
  width: number;
  height: number;
  /** RGBA, 8 bits each. */
  pixels: Uint8Array;
}

const signature = Buffer.from('89504e470d0a1a0a', 'hex');

function chunk(kind: string, body: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(kind, 'latin1'), body]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(body.length, 0);
  frame.writeUInt32BE(crc32(named), 4);
  return Buffer.concat([frame.subarray(0, 4), named, frame.subarray(4)]);
}

const paeth = (a: number, b: number, c: number): number => {
  const p = a + b - c;
  const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
};

const predicted = (filter: number, left: number, up: number, corner: number): number =>
  [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] ?? 0;

/** A file of any form: `row(y)` gives the packed samples of a row, which is filtered in the way `filter(y)`. */
export function writePNG(form: {
  width: number;
  height: number;
  depth: number;
  colour: number;
  bytesPerPixel: number;
  row: (y: number) => Uint8Array;
  filter?: (y: number) => number;
  extra?: { kind: string; body: Uint8Array }[];
  level?: number;
  idatBytes?: number;
}): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(form.width, 0);
  header.writeUInt32BE(form.height, 4);
  header[8] = form.depth;
  header[9] = form.colour;
  const rows: Uint8Array[] = [];
  let above: Uint8Array = new Uint8Array(form.row(0).length);
  for (let y = 0; y < form.height; y += 1) {
    const row = form.row(y);
    const filter = form.filter?.(y) ?? 0;
    const step = form.bytesPerPixel;
    const own = above;
    rows.push(
      Uint8Array.of(filter),
      row.map((byte, at) => byte - predicted(filter, row[at - step] ?? 0, own[at] ?? 0, own[at - step] ?? 0)),
    );
    above = row;
  }
  const data = deflateSync(Buffer.concat(rows), { level: form.level ?? 6 });
  const size = form.idatBytes ?? data.length;
  const parts: Buffer[] = [];
  for (let at = 0; at < data.length; at += size) parts.push(chunk('IDAT', data.subarray(at, at + size)));
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    ...(form.extra ?? []).map(({ kind, body }) => chunk(kind, body)),
    ...parts,
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

export const writeRGBA = ({ width, height, pixels }: Picture): Buffer =>
  writePNG({
    width,
    height,
    depth: 8,
    colour: 6,
    bytesPerPixel: 4,
    row: (y) => pixels.subarray(y * width * 4, (y + 1) * width * 4),
  });

/** Reads RGB and RGBA of 8 bits, the two forms that the module writes; checks every checksum. */
export function readPNG(file: Uint8Array): Picture {
  const bytes = Buffer.from(file);
  if (!bytes.subarray(0, 8).equals(signature)) throw new Error('no PNG');
  let header = Buffer.alloc(0);
  const data: Buffer[] = [];
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const named = bytes.subarray(at + 4, at + 8 + length);
    if (bytes.readUInt32BE(at + 8 + length) !== crc32(named)) throw new Error(`wrong CRC at ${at}`);
    const kind = named.toString('latin1', 0, 4);
    if (kind === 'IHDR') header = named.subarray(4);
    if (kind === 'IDAT') data.push(named.subarray(4));
    at += length + 12;
  }
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const step = header[9] === 6 ? 4 : 3;
  if (header[8] !== 8 || (header[9] !== 6 && header[9] !== 2)) throw new Error('not the form that is expected');
  const raw = inflateSync(Buffer.concat(data));
  const size = width * step;
  if (raw.length !== (size + 1) * height) throw new Error('wrong length of data');
  const pixels = new Uint8Array(width * height * 4).fill(255);
  let above = new Uint8Array(size);
  for (let y = 0; y < height; y += 1) {
    const from = y * (size + 1);
    const row = new Uint8Array(raw.subarray(from + 1, from + 1 + size));
    for (let at = 0; at < size; at += 1)
      row[at] = (row[at] ?? 0) + predicted(raw[from] ?? 0, row[at - step] ?? 0, above[at] ?? 0, above[at - step] ?? 0);
    for (let x = 0; x < width; x += 1) pixels.set(row.subarray(x * step, (x + 1) * step), (y * width + x) * 4);
    above = row;
  }
  return { width, height, pixels };
}
