import { StepError } from '../../../lib/errors.ts';

/** An error of a compiler: where it is in the source, from 1. */
interface CompileMessage {
  line: number | undefined;
  column: number | undefined;
  text: string;
}

const shownMax = 10;

/** `file:2:41: error: text` or `error: file:2:41: text`, as Clang and PoCL print them. */
const clang = /^(?:error: )?(?:.*?):(\d+):(\d+): (?:(?:fatal )?error: )?(?!warning|note)(.+)$/;
/** `kernel.cu(2): error: text`, as NVRTC prints them. */
const nvrtc = /^.*?\((\d+)\): (?:catastrophic )?error(?: ?#?[\w-]*)?: (.+)$/;

function messagesOf(log: string): CompileMessage[] {
  const messages: CompileMessage[] = [];
  for (const line of log.split('\n')) {
    const ofClang = clang.exec(line.trim());
    const ofNvrtc = nvrtc.exec(line.trim());
    if (ofNvrtc !== null) messages.push({ line: Number(ofNvrtc[1]), column: undefined, text: ofNvrtc[2] ?? '' });
    else if (ofClang !== null && /error/.test(line))
      messages.push({ line: Number(ofClang[1]), column: Number(ofClang[2]), text: ofClang[3] ?? '' });
  }
  return messages;
}

/** @param log what the compiler printed: the errors in it are told with their lines, all of it where there are none */
export const compileError = (log: string): StepError => compileFailure(messagesOf(log), log);

export function compileFailure(messages: readonly CompileMessage[], log = ''): StepError {
  const shown = messages.slice(0, shownMax).map(({ line, column, text }) => {
    const place = line === undefined ? '' : `line ${line}${column === undefined ? '' : `, column ${column}`}: `;
    return place + text.trim();
  });
  if (messages.length > shownMax) shown.push(`and ${messages.length - shownMax} more errors`);
  const said = shown.length === 0 ? log.trim().slice(0, 2000) || 'the compiler did not say why' : shown.join('; ');
  return new StepError('ML_COMPILE_ERROR', `the kernels do not compile: ${said}`);
}
