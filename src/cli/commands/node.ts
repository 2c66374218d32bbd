import type { Args } from '../command.ts';
import { type ExitCode, exit } from '../exit.ts';
import { nodeConfigOf } from '../node-config.ts';
import type { Terminal } from '../terminal.ts';

/** `jsonflow node`: runs until a signal. The first closes gracefully, the second at once. */
export async function node(args: Args, terminal: Terminal): Promise<ExitCode> {
  const config = await nodeConfigOf(args, terminal);
  const { DistributedEngine } = await import('../../compose/distributed-engine.ts');
  const engine = new DistributedEngine(config);
  const asked = Promise.withResolvers<void>();
  let signals = 0;
  const forget = terminal.onInterrupt(() => {
    signals += 1;
    if (signals > 1) process.exit(exit.runFailed);
    asked.resolve();
  });
  let lost = false;
  engine.on('connection', (state) => {
    if (state.kind === 'refused') asked.reject(state.error);
    if (state.kind === 'disconnected' && !lost)
      terminal.err(`No connection to the coordinator: ${state.why}. Trying on.\n`);
    if (state.kind === 'connected' && lost) terminal.err('Connected to the coordinator.\n');
    lost = state.kind === 'disconnected';
  });
  engine.on('fatal', (error) => asked.reject(error));
  try {
    await Promise.race([engine.start(), asked.promise]);
    if (signals === 0) announce();
    await asked.promise;
    terminal.err('Closing; signal again to leave at once.\n');
  } finally {
    await engine.close();
    forget();
  }
  return exit.ok;

  function announce(): void {
    const { nodeId, url, httpUrl } = engine;
    const ready = { ready: true, node_id: nodeId, role: config.role, pid: process.pid, url, http_url: httpUrl };
    if (args.has('json')) terminal.out(`${JSON.stringify(ready)}\n`);
    else if (config.role === 'worker') terminal.out(`Worker ${nodeId} is ready, connected to ${config.connect}.\n`);
    else terminal.out(`Coordinator ${nodeId} is ready: ${httpUrl ?? 'not listening'} (nodes: ${url ?? '-'}).\n`);
  }
}
