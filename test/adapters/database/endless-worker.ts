// A process whose SQLite connection is busy for minutes: sessions.test.ts starts and kills it.
import { execFileSync } from 'node:child_process';
import { Harness } from './harness.ts';

const harness = new Harness(process.argv[2] ?? '');
await harness.query({ query: 'SELECT 1' });
const [pid] = execFileSync('ps', ['-ww', '-o', 'pid=,args=', '--ppid', String(process.pid)], { encoding: 'utf8' })
  .split('\n')
  .filter((line) => line.includes('sqlite'))
  .map((line) => Number.parseInt(line, 10));
const query =
  'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 9000000000) SELECT COUNT(*) FROM c';
void harness.query({ query, options: { timeout: 3_600_000 } });
setImmediate(() => process.send?.(pid));
