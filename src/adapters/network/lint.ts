import { insertedWarnings, passwordWarnings } from '../../kit/lint.ts';
import { isObject } from '../../lib/json.ts';
import type { ParamsWarning } from '../../lib/validation-error.ts';
import type { AdapterStep } from '../../ports/adapter.ts';

/** What is dangerous though it is valid: a proxy's password in the workflow, values within a GraphQL operation. */
export function lint({ type, params: { query, options } }: AdapterStep): ParamsWarning[] {
  const proxy = isObject(options) ? options.proxy : undefined;
  const variables = 'Declare a variable of the operation, and write the value in "variables".';
  return [
    ...passwordWarnings(proxy, ['options', 'proxy']),
    ...(type === 'network_graphql' ? insertedWarnings(query, ['query'], 'the GraphQL operation', variables) : []),
  ];
}
