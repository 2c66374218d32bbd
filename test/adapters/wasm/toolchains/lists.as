// What crosses the border of AssemblyScript's runtime.
export function reversed(text: string): string {
  return text.split('').reverse().join('');
}

export function mean(values: Float64Array): f64 {
  let sum = 0.0;
  for (let index = 0; index < values.length; index++) sum += values[index];
  return sum / values.length;
}

export function squares(values: Array<i32>): Array<i32> {
  return values.map<i32>((value: i32): i32 => value * value);
}

export function bytes(count: i32): Uint8Array {
  const result = new Uint8Array(count);
  for (let index = 0; index < count; index++) result[index] = <u8>index;
  return result;
}

/** Garbage: each call leaves some. */
export function pieces(text: string, count: i32): i32 {
  let length = 0;
  for (let index = 0; index < count; index++) length += (text + index.toString()).length;
  return length;
}

export function refuse(why: string): void {
  throw new Error(why);
}
