import { startModelServer } from '../../compose/ml.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit } from '../exit.ts';
import { integerOf } from '../input.ts';
import type { Terminal } from '../terminal.ts';
import { egressOf, tlsFilesOf, tokensOf } from './shared.ts';

/** `jsonflow serve-model MODEL`: runs until a signal. The first closes gracefully, the second at once. */
export async function serveModel(args: Args, terminal: Terminal): Promise<ExitCode> {
  const asked = Promise.withResolvers<void>();
  let signals = 0;
  const forget = terminal.onInterrupt(() => {
    signals += 1;
    if (signals > 1) process.exit(exit.runFailed);
    asked.resolve();
  });
  const [name, device, framework, egress] = [
    args.get('name'),
    args.get('device'),
    args.get('framework'),
    egressOf(args),
  ];
  try {
    const [apiTokens, tls] = await Promise.all([
      tokensOf(args.all('api-token'), terminal.env.JSONFLOW_API_TOKENS),
      tlsFilesOf(args),
    ]);
    const server = await startModelServer({
      model: args.positionals[0] ?? '',
      host: args.get('host') ?? '127.0.0.1',
      port: integerOf(args.get('port') ?? '8000', '--port', 0, 65_535),
      timeoutMs: integerOf(args.get('timeout-ms') ?? '60000', '--timeout-ms', 1, 86_400_000),
      ...(name === undefined ? {} : { name }),
      ...(device === undefined ? {} : { device }),
      ...(framework === undefined ? {} : { framework }),
      ...(egress === undefined ? {} : { egress }),
      ...(tls === undefined ? {} : { tls }),
      apiTokens,
      insecure: args.has('insecure'),
    });
    try {
      const { url, digest } = server;
      if (args.has('json'))
        terminal.out(
          `${JSON.stringify({ ready: true, name: server.name, url, digest, device: server.device, pid: process.pid })}\n`,
        );
      else terminal.out(`Model ${server.name} (sha256:${digest}) is served on ${server.device}: ${url}\n`);
      await asked.promise;
      terminal.err('Closing; signal again to leave at once.\n');
    } finally {
      await server.close();
    }
  } finally {
    forget();
  }
  return exit.ok;
}
