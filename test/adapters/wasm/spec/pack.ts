// Packs what `wasm-tools json-from-wast` made of the test suite's scripts: `node test/adapters/wasm/spec/pack.ts FOLDER`, see README.md.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import type { Command, Contents } from './archive.ts';

const [folder = '.'] = process.argv.slice(2);
const contents: Contents = { scripts: [] };
const modules: Uint8Array[] = [];

for (const name of readdirSync(folder).sort()) {
  if (!name.endsWith('.json')) continue;
  const made = JSON.parse(readFileSync(join(folder, name), 'utf8')) as {
    source_filename: string;
    commands: (Command & { module_type?: string; binary_filename?: string })[];
  };
  const sizes = new Map<string, number>();
  const commands = made.commands.flatMap(({ module_type, binary_filename, ...command }): Command[] => {
    const filename = binary_filename ?? command.filename;
    if (filename === undefined) return [command];
    // The text format isn't read here: what its parser must refuse says nothing.
    if (module_type === 'text' && binary_filename === undefined) return [];
    if (!sizes.has(filename)) {
      const bytes = readFileSync(join(folder, filename));
      sizes.set(filename, bytes.length);
      modules.push(bytes);
    }
    return [{ ...command, filename }];
  });
  contents.scripts.push({ file: made.source_filename, commands, sizes: [...sizes] });
}

const head = Buffer.from(JSON.stringify(contents));
const length = Buffer.alloc(4);
length.writeUInt32LE(head.length);
const packed = brotliCompressSync(Buffer.concat([length, head, ...modules]), {
  params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 },
});
writeFileSync(fileURLToPath(new URL('core.br', import.meta.url)), packed);
console.log(`${contents.scripts.length} scripts, ${modules.length} modules, ${packed.length} bytes`);
