// `npm test`: starts the servers that tests use, runs the tests, ends what it started. Arguments: test files, flags of `node --test`.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { interruption, onInterruption } from './servers/interruption.ts';
import { installLavapipe } from './servers/lavapipe.ts';
import { releaseServices, type ServiceReport, startServices } from './servers/manager.ts';
import { environmentVariable, serviceNames } from './servers/names.ts';
import { installNvrtc } from './servers/nvrtc.ts';
import { installOpenCL } from './servers/opencl.ts';
import { identify } from './servers/process-id.ts';

const root = join(import.meta.dirname, '..');
const everything = ['src/**/*.test.ts', 'test/**/*.test.ts', 'sim/**/*.test.ts', 'scripts/**/*.test.ts'];
const args = process.argv.slice(2);
const flags = args.filter((arg) => arg.startsWith('-'));
const files = args.filter((arg) => !arg.startsWith('-'));

const us = identify(process.pid);
if (!us) throw new Error('This process cannot see itself in the list of processes.');

let reports: readonly ServiceReport[] = [];
let child: ReturnType<typeof spawn> | undefined;

onInterruption((name) => child?.kill(name));

async function runTests(): Promise<number> {
  // Many tests wait for servers and processes more than they compute.
  const options = ['--test', '--test-concurrency=4', ...flags, ...(files.length > 0 ? files : everything)];
  // Some load ONNX Runtime themselves, which would report to its maker.
  const env = { ...process.env, ORT_DISABLE_TELEMETRY: '1' };
  child = spawn(process.execPath, options, { cwd: root, stdio: 'inherit', env });
  const [code] = await once(child, 'exit');
  return typeof code === 'number' ? code : 1;
}

/** Two lines at most, so that the summary of the test runner stays in sight; reasons in full where there is something to mend. */
function printServers(): void {
  const used = reports.filter((report) => report.kind === 'running' || report.kind === 'given');
  const described = used.map(({ title, kind, name, version }) =>
    kind === 'given' ? `${environmentVariable(name)} ${version}` : `${title} ${version}`,
  );
  console.log(`Servers used: ${described.join(', ') || 'none'}`);
  for (const report of reports) {
    if (report.kind === 'unavailable') console.log(`Server unavailable: ${report.title}, since ${report.reason}`);
  }
}

let status = 1;
try {
  if (process.env.JSONFLOW_SERVICES !== 'off') {
    reports = await startServices(serviceNames, (line) => console.error(line), us);
    await installOpenCL((line) => console.error(line));
    await installNvrtc((line) => console.error(line));
    await installLavapipe((line) => console.error(line));
  }
  if (!interruption.aborted) status = await runTests();
} finally {
  await releaseServices(us);
  printServers();
}
process.exitCode = interruption.aborted ? 1 : status;
