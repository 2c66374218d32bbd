import type { JSONObject } from '../../lib/json.ts';
import type { Options } from './driver.ts';

export const optionDefaults = {
  timeout: 30_000,
  pool_size: 10,
  acquire_timeout: 10_000,
  retry_attempts: 3,
  max_rows: 10_000,
  batch_size: 1_000,
} as const satisfies Options;

/** `params.options` with defaults filled in. The schema has checked them. */
export function optionsOf(params: JSONObject): Options {
  const given = (params.options ?? {}) as Partial<Options>;
  return { ...optionDefaults, ...given };
}
