import type { JSONObject } from '../../lib/json.ts';
import { closest } from '../../lib/suggest.ts';
import type { AdapterStep } from '../../ports/adapter.ts';

type Family = 'sql' | 'mongodb' | 'redis';

/** Params that only one kind of database knows. */
const owned: Readonly<Record<Family, readonly string[]>> = {
  sql: ['query', 'params', 'table', 'columns', 'order_by', 'offset', 'on_conflict', 'returning', 'set', 'all'],
  mongodb: [
    'collection',
    'filter',
    'pipeline',
    'projection',
    'sort',
    'skip',
    'document',
    'documents',
    'update',
    'upsert',
    'multi',
    'on_conflict',
    'all',
  ],
  redis: [
    'commands',
    'key',
    'keys',
    'pattern',
    'key_type',
    'values',
    'value',
    'ttl_ms',
    'key_field',
    'key_prefix',
    'if_exists',
  ],
};

const familyOf = (protocol: string): Family =>
  protocol.startsWith('mongodb') ? 'mongodb' : protocol.startsWith('redis') ? 'redis' : 'sql';

/** What the schema can't say: which params exclude or need each other, or belong to another kind of database. */
export function conflictOf({ type, params }: AdapterStep, protocol: string): string | undefined {
  const family = familyOf(protocol);
  for (const other of ['sql', 'mongodb', 'redis'] as const)
    if (other !== family)
      for (const name of owned[other])
        if (params[name] !== undefined && !owned[family].includes(name))
          return `params.${name} is not for ${protocol}${near(name, family)}`;
  return family === 'sql' ? sqlConflict(type, params) : undefined;
}

function near(name: string, family: Family): string {
  const meant = closest(name, owned[family]);
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

function sqlConflict(type: string, params: JSONObject): string | undefined {
  const has = (name: string): boolean => params[name] !== undefined;
  switch (type) {
    case 'db_query':
      if (has('query') === has('table')) return 'params: give either query, or table';
      if (has('query') && ['columns', 'where', 'order_by', 'limit', 'offset'].some(has))
        return 'params: columns, where, order_by, limit and offset go with table; with query they belong into the SQL';
      return has('table') && has('params') ? 'params.params goes with query' : undefined;
    case 'db_insert':
      if (!has('table')) return 'params.table is missing';
      return has('data') ? undefined : 'params.data is missing';
    case 'db_update':
      return updateConflict(params, has);
    case 'db_transaction':
      return has('operations') ? undefined : 'params.operations is missing';
    case 'db_migrate':
      return has('migrations') === has('directory') ? 'params: give either migrations, or directory' : undefined;
    default:
      return undefined;
  }
}

function updateConflict(params: JSONObject, has: (name: string) => boolean): string | undefined {
  if (has('query')) {
    const extra = ['table', 'set', 'data', 'where', 'all', 'delete', 'returning'].find(has);
    return extra === undefined ? undefined : `params.${extra} does not go with query`;
  }
  if (!has('table')) return 'params: give either table, or query';
  const changes = [has('set'), has('data'), params.delete === true].filter((one) => one).length;
  if (changes !== 1) return 'params: give one of set, data, delete: true';
  if (has('where') === (params.all === true)) return 'params: give where, or all: true to mean every row';
  return undefined;
}
