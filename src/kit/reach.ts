import type { AdapterContext } from '../ports/adapter.ts';
import type { Reach } from '../ports/egress.ts';

/** Whom a step's connection to a database or broker may reach: a tenant's workflow is a stranger's. */
export const reachOf = ({ tenant_id }: Pick<AdapterContext, 'tenant_id'>): Reach =>
  tenant_id === null ? 'operator' : 'public';
