import type { Command, Option } from './command.ts';
import { completion, shells } from './commands/completion.ts';
import { connectOptions, jsonOption } from './commands/shared.ts';
import { exit } from './exit.ts';

const dataDir: Option = { value: 'DIR', help: 'Where journal, keys and secrets are kept. Default .jsonflow.' };
const remote = { ...connectOptions, json: jsonOption };

/**
 * Every command. Help, completion and the documentation are made from this table; what runs is loaded when it is called, so
 * that `--help` is quick.
 */
export const commands: readonly Command[] = [
  {
    name: 'run',
    summary: 'Run a workflow and show it',
    usage: 'FILE',
    positionals: [1, 1],
    completes: 'files',
    description:
      'Runs FILE (- for standard input) on an engine within this process, or with --connect on a coordinator.\nThe first Ctrl-C cancels the run and waits, the second leaves.',
    options: {
      input: {
        value: 'INPUT',
        short: 'i',
        multiple: true,
        help: "The run's $input: k=v (JSON or text), k=@file.json, @file.json, or - for standard input. Repeatable.",
      },
      ...connectOptions,
      bundle: { value: 'OUT', short: 'b', help: 'Write the verifiable bundle to this file.' },
      'data-dir': dataDir,
      'idempotency-key': { value: 'KEY', help: 'Equal keys start one run, however often this is called.' },
      json: { help: 'Print the result object alone on standard output.' },
    },
    examples: [
      'jsonflow run workflow.json',
      'jsonflow run workflow.json --input year=2024 --input rows=@rows.json --bundle proof.json',
      'jsonflow run workflow.json --connect https://coordinator.example:8080 --json',
    ],
    run: async (args, terminal) => (await import('./commands/run.ts')).run(args, terminal),
  },
  {
    name: 'validate',
    summary: 'Check a workflow and name every problem',
    usage: 'FILE',
    positionals: [1, 1],
    completes: 'files',
    options: { json: jsonOption },
    examples: ['jsonflow validate workflow.json', 'jsonflow validate - --json < workflow.json'],
    run: async (args, terminal) => (await import('./commands/validate.ts')).validate(args, terminal),
  },
  {
    name: 'verify',
    summary: 'Verify a bundle offline',
    usage: 'BUNDLE',
    positionals: [1, 1],
    completes: 'files',
    description:
      'Checks every signature, digest and proof of the bundle. Without --trust it can only say that the bundle is consistent\nin itself, and exits with 3: anyone could have made it.',
    options: {
      trust: {
        value: 'KEYS',
        short: 't',
        help: 'Trust file with the keys that you accept, as "jsonflow keys" prints.',
      },
      json: jsonOption,
    },
    examples: ['jsonflow verify proof.json --trust keys.json', 'jsonflow verify proof.json --json'],
    run: async (args, terminal) => (await import('./commands/verify.ts')).verify(args, terminal),
  },
  {
    name: 'replay',
    summary: 'Execute the deterministic steps of a bundle again and compare',
    usage: 'BUNDLE',
    positionals: [1, 1],
    completes: 'files',
    options: { json: jsonOption },
    examples: ['jsonflow replay proof.json'],
    run: async (args, terminal) => (await import('./commands/replay.ts')).replay(args, terminal),
  },
  {
    name: 'keys',
    summary: 'Print the public keys of a coordinator and its nodes as a trust file',
    usage: '',
    positionals: [0, 0],
    options: connectOptions,
    examples: ['jsonflow keys > keys.json', 'jsonflow keys --connect https://coordinator.example:8080'],
    run: async (args, terminal) => (await import('./commands/remote.ts')).keys(args, terminal),
  },
  {
    name: 'token',
    summary: 'Make a token with which one worker may join a coordinator',
    usage: '',
    positionals: [0, 0],
    description: 'It works once, and for ten minutes at most. A worker gives it with --token.',
    options: {
      ...connectOptions,
      ttl: { value: 'SECONDS', help: 'How long it may be used. Default 600.' },
      json: { help: 'Print token and time as JSON.' },
    },
    examples: ['jsonflow token', 'jsonflow node --connect localhost:8080 --token "$(jsonflow token --ttl 60)"'],
    run: async (args, terminal) => (await import('./commands/remote.ts')).token(args, terminal),
  },
  {
    name: 'node',
    summary: 'Run a coordinator or a worker until it is told to stop',
    usage: '',
    positionals: [0, 0],
    description:
      'Settings come from --config FILE (JSON) and from flags, which win. With --connect the role is worker, else coordinator.\nTokens may be given as @FILE, or in JSONFLOW_JOIN_TOKEN and JSONFLOW_API_TOKENS.',
    options: {
      role: { value: 'ROLE', choices: ['coordinator', 'worker'], help: 'coordinator or worker.' },
      port: { value: 'PORT', short: 'p', help: 'Port to listen on; 0 for any. Default 8080 for a coordinator.' },
      host: { value: 'HOST', help: 'Address to listen on. Default 127.0.0.1.' },
      connect: { value: 'URL', short: 'c', help: 'Coordinator to join: host:port, ws:// or wss://.' },
      'node-id': { value: 'ID', help: 'Name of this node. Default from its key.' },
      adapters: { value: 'A,B', help: 'Adapters to offer. Default all.' },
      resources: { value: 'K=V,…', help: 'Resources to offer, such as ram_mb=4096,cpu_cores=4.' },
      labels: { value: 'K=V,…', help: 'Labels for node_preference, such as zone=eu.' },
      backends: { value: 'A,B', help: 'Back ends that steps may ask for by name.' },
      slots: { value: 'N', help: 'Steps at a time. Default 64; on a coordinator 256.' },
      token: { value: 'TOKEN', help: 'Join token: shown by a worker, demanded by a coordinator.' },
      'coordinator-key': { value: 'KEY_ID', help: 'Worker: the only coordinator to work for, by the id of its key.' },
      'api-token': { value: 'TOKEN', multiple: true, help: 'Opens the HTTP API to other machines. Repeatable.' },
      'tls-cert': { value: 'FILE', help: 'Certificate (PEM); switches TLS 1.3 on.' },
      'tls-key': { value: 'FILE', help: 'Its private key (PEM).' },
      'tls-ca': { value: 'FILE', help: 'Certificate authority (PEM) that peers must be signed by: mutual TLS.' },
      'data-dir': { value: 'DIR', help: 'Where key, journal and secrets are kept. Default .jsonflow/NODE_ID.' },
      synchronous: { value: 'MODE', choices: ['full', 'normal'], help: 'full: an answer means on disk. Default full.' },
      'local-steps': {
        value: 'WHEN',
        choices: ['auto', 'always', 'never'],
        help: 'Whether a coordinator runs steps itself. Default auto: while no worker can.',
      },
      insecure: { help: 'Allow plain text on an address that other machines reach.' },
      config: { value: 'FILE', help: 'JSON file with these settings.' },
      json: { help: 'Print the line that says it is ready as JSON.' },
    },
    examples: [
      'jsonflow node --role coordinator --port 8080',
      'jsonflow node --connect localhost:8080 --resources ram_mb=4096,cpu_cores=4 --labels zone=eu',
      'jsonflow node --config worker.json --token @join-token',
    ],
    run: async (args, terminal) => (await import('./commands/node.ts')).node(args, terminal),
  },
  {
    name: 'dev',
    summary: 'Start a local cluster of separate processes',
    usage: '',
    positionals: [0, 0],
    options: {
      workers: { value: 'N', short: 'w', help: 'Worker processes. Default 2.' },
      port: { value: 'PORT', short: 'p', help: 'Port of the coordinator; 0 for any. Default 8080.' },
      'data-dir': { value: 'DIR', help: 'Parent folder of the data of all nodes. Default .jsonflow/dev.' },
    },
    examples: ['jsonflow dev --workers 3'],
    run: async (args, terminal) => (await import('./commands/dev.ts')).dev(args, terminal),
  },
  {
    name: 'nodes',
    summary: 'List the nodes with their state, load and resources',
    usage: '',
    positionals: [0, 0],
    options: remote,
    examples: ['jsonflow nodes', 'jsonflow nodes --connect coordinator.example:8080 --json'],
    run: async (args, terminal) => (await import('./commands/remote.ts')).nodes(args, terminal),
  },
  {
    name: 'runs',
    summary: 'List runs, newest first',
    usage: '',
    positionals: [0, 0],
    options: {
      ...remote,
      status: { value: 'STATUS', choices: ['running', 'completed', 'failed', 'cancelled'], help: 'Only these.' },
      limit: { value: 'N', help: 'How many. Default 20.' },
      cursor: { value: 'CURSOR', help: 'The next page, as the page before named it.' },
    },
    examples: ['jsonflow runs --status failed', 'jsonflow runs --limit 100 --json'],
    run: async (args, terminal) => (await import('./commands/remote.ts')).runs(args, terminal),
  },
  {
    name: 'show',
    summary: 'Show a run: its steps, where each ran and why, its outputs',
    usage: 'RUN',
    positionals: [1, 1],
    options: remote,
    examples: ['jsonflow show RUN', 'jsonflow show RUN --json'],
    run: async (args, terminal) => (await import('./commands/remote.ts')).show(args, terminal),
  },
  {
    name: 'logs',
    summary: 'Print the events of a run',
    usage: 'RUN',
    positionals: [1, 1],
    options: {
      ...remote,
      follow: { short: 'f', help: 'Go on until the run ends.' },
      json: { help: 'One JSON object a line.' },
    },
    examples: ['jsonflow logs -f RUN', 'jsonflow logs RUN --json'],
    run: async (args, terminal) => (await import('./commands/remote.ts')).logs(args, terminal),
  },
  {
    name: 'cancel',
    summary: 'Cancel a run',
    usage: 'RUN',
    positionals: [1, 1],
    options: { ...remote, why: { value: 'TEXT', help: 'Kept in the journal.' } },
    examples: ['jsonflow cancel RUN --why "wrong input"'],
    run: async (args, terminal) => (await import('./commands/remote.ts')).cancel(args, terminal),
  },
  {
    name: 'vault',
    summary: 'Keep secrets in the encrypted store of this machine',
    usage: 'set|get|list|rm [NAME]',
    positionals: [1, 2],
    completes: ['set', 'get', 'list', 'rm'],
    description:
      'A step names a secret as vault://NAME. "set" reads the value from standard input, so that it appears in no process list\nand no shell history.',
    options: { 'data-dir': dataDir, json: jsonOption },
    examples: [
      'printf %s "$PASSWORD" | jsonflow vault set db/password',
      'jsonflow vault list',
      'jsonflow vault rm db/password',
    ],
    run: async (args, terminal) => (await import('./commands/vault.ts')).vault(args, terminal),
  },
  {
    name: 'doctor',
    summary: 'Check whether this machine can run JSONFlow, and how well',
    usage: '',
    positionals: [0, 0],
    options: {
      'data-dir': dataDir,
      port: { value: 'PORT', short: 'p', help: 'Port to try. Default 8080.' },
      json: jsonOption,
    },
    examples: ['jsonflow doctor'],
    run: async (args, terminal) => (await import('./commands/doctor.ts')).doctor(args, terminal),
  },
  {
    name: 'completion',
    summary: 'Print the completion script for a shell',
    usage: shells.join('|'),
    positionals: [1, 1],
    completes: shells,
    options: {},
    examples: ['source <(jsonflow completion bash)', 'jsonflow completion fish | source'],
    run: (args, terminal) => completion(() => commands)(args, terminal),
  },
  {
    name: 'version',
    summary: 'Print the version',
    usage: '',
    positionals: [0, 0],
    options: {},
    examples: ['jsonflow version'],
    async run(_args, terminal) {
      const { productVersion } = await import('../protocol/version.ts');
      terminal.out(`${productVersion}\n`);
      return exit.ok;
    },
  },
];
