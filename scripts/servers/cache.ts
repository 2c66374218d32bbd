import { homedir } from 'node:os';
import { join } from 'node:path';

/** A folder that outlives the checkout: what is built or downloaded once serves every checkout on the machine. */
export const cacheFolder = (name: string): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'jsonflow-services', name);
