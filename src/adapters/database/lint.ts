import { insertedWarnings, passwordWarnings } from '../../kit/lint.ts';
import { isObject, type JSONValue } from '../../lib/json.ts';
import type { PathSegment } from '../../lib/json-path.ts';
import type { ParamsWarning } from '../../lib/validation-error.ts';
import type { AdapterStep } from '../../ports/adapter.ts';

const remedy = 'Write a placeholder there (? or $1, $2, …, as the server has them), and the value in "params".';

/** What is dangerous though it is valid: a password in the workflow, values within SQL. Migrations are left out: they have no placeholders. */
export function lint({ params }: AdapterStep): ParamsWarning[] {
  const query = (text: JSONValue | undefined, path: PathSegment[]): ParamsWarning[] =>
    insertedWarnings(text, path, 'SQL', remedy);
  const operations = Array.isArray(params.operations) ? params.operations : [];
  return [
    ...passwordWarnings(params.connection, ['connection']),
    ...query(params.query, ['query']),
    ...operations.flatMap((one, index) =>
      isObject(one) ? query(one.query as JSONValue, ['operations', index, 'query']) : [],
    ),
  ];
}
