import { StepError } from '../../../lib/errors.ts';

export type OperationKind = 'query' | 'mutation' | 'subscription';

const token = /"""(?:[^"\\]|\\"""|\\|"(?!""))*"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*|[_A-Za-z][_0-9A-Za-z]*|[{}()[\]]/g;

/**
 * What kind of operation a document runs: whether it may be sent twice hangs on that. Reads no more of it than this; the server judges the rest.
 * @throws StepError INVALID_PARAMS where the operation is not there, or not named though there are several
 */
export function operationKind(document: string, name: string | undefined): OperationKind {
  const operations = operationsOf(document);
  if (operations.length === 0) throw new StepError('INVALID_PARAMS', 'params.query has no operation');
  if (name === undefined) {
    const [only] = operations;
    if (only !== undefined && operations.length === 1) return only.kind;
    throw new StepError('INVALID_PARAMS', 'params.query has several operations; choose one by params.operation_name');
  }
  const found = operations.find((one) => one.name === name);
  if (found !== undefined) return found.kind;
  throw new StepError('INVALID_PARAMS', 'params.operation_name is none of the operations of params.query');
}

function operationsOf(document: string): { kind: OperationKind; name: string | undefined }[] {
  const operations: { kind: OperationKind; name: string | undefined }[] = [];
  let depth = 0;
  /** Words before the selection of a definition: `query Name`. */
  let words: string[] = [];
  for (const [text] of document.matchAll(token)) {
    if (text === '{' || text === '(' || text === '[') {
      if (depth === 0 && text === '{') {
        const [keyword = 'query', name] = words;
        if (keyword === 'query' || keyword === 'mutation' || keyword === 'subscription')
          operations.push({ kind: keyword, name });
      }
      depth += 1;
    } else if (text === '}' || text === ')' || text === ']') {
      depth = Math.max(0, depth - 1);
      if (depth === 0 && text === '}') words = [];
    } else if (depth === 0 && /^[_A-Za-z]/.test(text) && words.length < 2) words.push(text);
  }
  return operations;
}
