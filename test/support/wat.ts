import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Runs a tool of binaryen over a file that holds `input`. @returns the module that it wrote */
function binaryen(tool: 'wasm-as' | 'wasm-opt', input: string | Uint8Array, flags: readonly string[]): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'jsonflow-wat-'));
  try {
    const [from, to] = [join(folder, 'in'), join(folder, 'out.wasm')];
    writeFileSync(from, input);
    const program = fileURLToPath(new URL(`../../node_modules/.bin/${tool}`, import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [program, from, '-o', to, ...flags], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${tool}: ${stderr}`);
    return readFileSync(to);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const features = [
  ...['--enable-simd', '--enable-bulk-memory', '--enable-multivalue', '--enable-sign-ext', '--enable-tail-call'],
  ...['--enable-nontrapping-float-to-int', '--enable-reference-types', '--enable-mutable-globals'],
];

/** A module from its text. */
export const assemble = (text: string): Uint8Array => binaryen('wasm-as', text, [...features, '-g']);

/** A valid module made up from random bytes, the same for the same bytes. */
export const invented = (bytes: Uint8Array): Uint8Array => binaryen('wasm-opt', bytes, ['-ttf', ...features]);
