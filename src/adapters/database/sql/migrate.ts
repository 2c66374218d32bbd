import type { JSONObject } from '../../../lib/json.ts';
import type { Call } from '../driver.ts';
import type { Session, SqlServer } from './session.ts';
export async function migrate(_s: Session, _p: JSONObject, _c: Call, _v: SqlServer): Promise<JSONObject> {
  return {};
}
