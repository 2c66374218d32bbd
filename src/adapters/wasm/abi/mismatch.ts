import { StepError } from '../../../lib/errors.ts';

/** Arguments or results do not fit. @param rule what is wrong, and the rule that would be kept */
export const mismatch = (rule: string): StepError => new StepError('ABI_MISMATCH', rule);
