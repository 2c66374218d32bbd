import { JSONFlowError } from '../lib/errors.ts';

export const noSuchRun = (runId: string): JSONFlowError =>
  new JSONFlowError('NOT_FOUND', `there is no run ${runId}`, { hint: 'List the runs with `jsonflow runs`.' });
