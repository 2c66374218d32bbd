// The program of a thread that compiles one Q# program: the compiler is WebAssembly, and busy for half a second and more.
import { readFile } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { clip } from '../../../../lib/clip.ts';
import { messageOf, StepError } from '../../../../lib/errors.ts';
import type { Circuit } from '../../circuit/circuit.ts';
import { filesOf } from './entry.ts';
import { parseQir } from './qir.ts';

export type Answer = { circuit: Circuit } | { failure: { code: string; message: string } };

const messagesMax = 5;
const { source, operation } = workerData as { source: string; operation?: string };

/** What the compiler found, with lines and columns as an editor counts them. */
interface Diagnostic {
  readonly document: string;
  readonly diagnostic: {
    readonly message: string;
    readonly range: { readonly start: { readonly line: number; readonly character: number } };
  };
}

async function compile(): Promise<Circuit> {
  const { getCompiler, loadWasmModule } = await compilerPackage();
  const wasm = await readFile(new URL('../lib/web/qsc_wasm_bg.wasm', import.meta.resolve('qsharp-lang')));
  await loadWasmModule(new Uint8Array(wasm).buffer);
  const compiler = await getCompiler();
  // Measurements in the middle and what follows from them; the profile without has more qubits for the same.
  const program = { sources: filesOf(source, operation), languageFeatures: [], profile: 'adaptive_ri' } as const;
  return parseQir(await compiler.getQir({ ...program, sources: [...program.sources], languageFeatures: [] }));
}

async function compilerPackage(): Promise<typeof import('qsharp-lang')> {
  try {
    return await import('qsharp-lang');
  } catch (cause) {
    throw new StepError(
      'QUANTUM_COMPILER_MISSING',
      `Q# needs its official compiler, the package qsharp-lang, which could not be loaded: npm install qsharp-lang (${clip(messageOf(cause), 200)})`,
    );
  }
}

function failureOf(thrown: unknown): { code: string; message: string } {
  if (thrown instanceof StepError) return { code: thrown.code, message: thrown.message };
  const diagnostics = (thrown as { diagnostics?: readonly Diagnostic[] } | null)?.diagnostics;
  if (!Array.isArray(diagnostics))
    return { code: 'QUANTUM_COMPILER_FAILED', message: `the Q# compiler failed: ${clip(messageOf(thrown), 500)}` };
  const messages = diagnostics.slice(0, messagesMax).map(({ document, diagnostic: { message, range } }: Diagnostic) => {
    const { line, character } = range.start;
    const where = document === 'main.qs' ? `${line + 1}:${character + 1}: ` : '';
    return `${where}${message.replace(/\s*\n+\s*/g, '; ')}`;
  });
  return { code: 'QSHARP_SYNTAX', message: `Q# ${messages.join(' | ')}` };
}

async function answer(): Promise<Answer> {
  try {
    return { circuit: await compile() };
  } catch (thrown) {
    return { failure: failureOf(thrown) };
  }
}

parentPort?.postMessage(await answer());
