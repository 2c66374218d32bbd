import { Cursor } from '../binary/cursor.ts';
import { instructions } from '../binary/instructions.ts';
import { moduleLimits } from '../binary/limits.ts';
import { readImmediate, readOpcode } from '../binary/read-instruction.ts';
import type { FunctionBody, ParsedModule } from '../binary/read-module.ts';
import { invalid } from '../binary/refusal.ts';

export interface Measure {
  /** Whether it calls anything. */
  calls: boolean;
  /** Values that its operand stack holds at most. */
  height: number;
}

interface Frame {
  height: number;
  params: number;
  results: number;
}

/** What a function takes of the real stack, as far as its code tells: in code that can't be reached, more rather than less. */
export function measure(module: ParsedModule, { code, span }: FunctionBody, resultCount: number): Measure {
  const cursor = new Cursor(module.bytes, code, span.end);
  const frames: Frame[] = [{ height: 0, params: 0, results: resultCount }];
  let height = 0;
  let highest = 0;
  let calls = false;
  const arity = (index: number): [params: number, results: number] => {
    const found = module.types[index];
    if (found === undefined) throw invalid(cursor.position, `there is no type ${index}`);
    return [found.params.length, found.results.length];
  };
  while (!cursor.done) {
    const opcode = readOpcode(cursor);
    const immediate = readImmediate(cursor, opcode);
    let pops = instructions.pops[opcode] ?? 0;
    let pushes = instructions.pushes[opcode] ?? 0;
    if (opcode >= 0x10 && opcode <= 0x13) {
      calls = true;
      const indirect = (opcode & 1) === 1;
      [pops, pushes] = arity(indirect ? immediate : (module.functionTypes[immediate] ?? -1));
      if (indirect) pops += 1;
    } else if (opcode >= 0x02 && opcode <= 0x04) {
      const [params, results] = immediate >= 0 ? arity(immediate) : [0, immediate === -64 ? 0 : 1];
      pops = opcode === 0x04 ? 1 : 0;
      pushes = 0;
      frames.push({ height: Math.max(0, height - pops - params), params, results });
      if (frames.length > moduleLimits.operandStack) throw invalid(cursor.position, 'blocks are nested too deeply');
    } else if (opcode === 0x05) {
      const frame = frames.at(-1);
      if (frame !== undefined) height = frame.height + frame.params;
    } else if (opcode === 0x0b) {
      const frame = frames.pop();
      if (frame === undefined) throw invalid(cursor.position, 'an end has no beginning');
      height = frame.height + frame.results;
    }
    height = Math.max(0, height - pops) + pushes;
    if (height > highest) highest = height;
    if (highest > moduleLimits.operandStack) throw invalid(cursor.position, 'the operand stack is too high');
  }
  return { calls, height: highest };
}
