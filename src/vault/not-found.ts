import { JSONFlowError } from '../lib/errors.ts';

export const secretNotFound = (name: string, version: string | undefined): JSONFlowError =>
  new JSONFlowError(
    'SECRET_NOT_FOUND',
    `there is no secret vault://${name}${version === undefined ? '' : `#${version}`}`,
    {
      hint: 'Store it with "jsonflow vault set", or provide it as described in docs/secrets.md.',
    },
  );

export const isNotFound = (thrown: unknown): boolean =>
  thrown instanceof JSONFlowError && thrown.code === 'SECRET_NOT_FOUND';
