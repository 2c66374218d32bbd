// `npm run bench`: runs the benchmarks that are named, one after the other, each in a process of its own. `npm run bench -- --help` lists them.
//
// Each file of this folder is one. Its first line says what it measures; one that begins with `Options:` what it takes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { closest } from '../src/lib/suggest.ts';

const usual = 'engine';
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== basename(import.meta.filename))
  .map((file) => basename(file, '.ts'))
  .sort();

const fileOf = (name: string): string => join(import.meta.dirname, `${name}.ts`);

function help(): string {
  const about = names.map((name) => {
    const text = readFileSync(fileOf(name), 'utf8');
    const [, what = ''] = /^\/\/ (.*)/.exec(text) ?? [];
    const [, options] = /^\/\/ Options: (.*)/m.exec(text) ?? [];
    return `  ${name.padEnd(17)}${what}${options === undefined ? '' : `\n${' '.repeat(19)}${options}`}`;
  });
  return `npm run bench -- [NAME …] [OPTIONS of these]

Measures what is named, by default ${usual}. Times depend on the machine: compare columns of one run only.

${about.join('\n')}`;
}

/** @returns the exit code */
async function run(name: string, options: readonly string[]): Promise<number> {
  console.error(`— ${name}`);
  const child = spawn(process.execPath, [fileOf(name), ...options], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}

const args = process.argv.slice(2);
const first = args.findIndex((arg) => arg.startsWith('-'));
const named = first < 0 ? args : args.slice(0, first);
const options = first < 0 ? [] : args.slice(first);
const unknown = named.find((name) => !names.includes(name));
if (options.includes('--help')) console.log(help());
else if (unknown !== undefined) {
  const near = closest(unknown, names);
  console.error(
    `There is no benchmark "${unknown}"${near === undefined ? '' : `; did you mean ${near}?`}\n\n${help()}`,
  );
  process.exitCode = 2;
} else
  for (const name of named.length === 0 ? [usual] : named) {
    const code = await run(name, options);
    if (code !== 0) process.exitCode = code;
  }
