import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';

/** A constant as the scripts write it: bits as a decimal text, or `nan:canonical`, `nan:arithmetic`; a vector has one for each lane. */
export interface Constant {
  type: string;
  value?: string | string[];
  lane_type?: string;
  /** Of `either`. */
  values?: Constant[];
}

export interface Action {
  type: 'invoke' | 'get';
  module?: string;
  field: string;
  args?: Constant[];
}

/** A command of a script: https://github.com/WebAssembly/wabt/blob/main/docs/wast2json.md */
export interface Command {
  type: string;
  line: number;
  name?: string;
  /** Of `register`. */
  as?: string;
  /** Of `module_instance`. */
  instance?: string;
  module?: string;
  filename?: string;
  action?: Action;
  expected?: Constant[];
  text?: string;
}

export interface Script {
  file: string;
  commands: Command[];
  /** Module by its name in the commands. */
  modules: ReadonlyMap<string, Uint8Array>;
}

/** A list of scripts, with where each module begins in what follows: packed by `pack.ts`. */
export interface Contents {
  scripts: { file: string; commands: Command[]; sizes: [name: string, bytes: number][] }[];
}

/** All scripts of the test suite, but for commands over the text format. */
export function readScripts(): Script[] {
  const packed = brotliDecompressSync(readFileSync(fileURLToPath(new URL('core.br', import.meta.url))));
  let at = 4 + packed.readUInt32LE(0);
  const { scripts } = JSON.parse(packed.toString('utf8', 4, at)) as Contents;
  return scripts.map(({ file, commands, sizes }) => {
    const modules = new Map<string, Uint8Array>();
    for (const [name, bytes] of sizes) {
      modules.set(name, packed.subarray(at, at + bytes));
      at += bytes;
    }
    return { file, commands, modules };
  });
}
