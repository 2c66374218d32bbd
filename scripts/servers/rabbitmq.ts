import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Place, Recipe } from './recipe.ts';
import { findProgram } from './run.ts';

/** Ports: AMQP, the Erlang port mapper, Erlang distribution. */
const [AMQP, MAPPER, DISTRIBUTION] = [0, 1, 2];

/** Every path and port that RabbitMQ would otherwise share with an instance of the system. */
function environment({ dir, ports }: Place): NodeJS.ProcessEnv {
  return {
    RABBITMQ_NODENAME: `jsonflow-${ports[AMQP]}@localhost`,
    RABBITMQ_CONF_ENV_FILE: join(dir, 'rabbitmq-env.conf'),
    RABBITMQ_CONFIG_FILE: join(dir, 'rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(dir, 'advanced.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(dir, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(dir, 'data'),
    RABBITMQ_LOG_BASE: join(dir, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_DIST_PORT: String(ports[DISTRIBUTION]),
    ERL_EPMD_PORT: String(ports[MAPPER]),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} -noinput',
    // The start script then becomes the server instead of waiting for it, so signals and exit status are the server's own.
    RABBITMQ_ALLOW_INPUT: 'true',
  };
}

export const rabbitmq: Recipe = {
  title: 'RabbitMQ',
  portCount: 3,
  installation: { kind: 'debian', package: 'rabbitmq-server' },
  // Debian's program in PATH changes the user and ignores the environment; the one behind it doesn't.
  find: () => findProgram('/usr/lib/rabbitmq/bin/rabbitmq-server', 'rabbitmq-server'),
  async prepare(_home, { dir, ports }) {
    for (const folder of ['data', 'log']) mkdirSync(join(dir, folder));
    writeFileSync(join(dir, 'rabbitmq-env.conf'), '');
    writeFileSync(join(dir, 'advanced.config'), '[].\n');
    writeFileSync(join(dir, 'enabled_plugins'), '[].\n');
    writeFileSync(
      join(dir, 'rabbitmq.conf'),
      `listeners.tcp.1 = 127.0.0.1:${ports[AMQP]}\nlog.console.level = warning\n`,
    );
  },
  programs(home, place) {
    const env = environment(place);
    const mapper = ['-port', String(place.ports[MAPPER]), '-address', '127.0.0.1'];
    // Erlang would start the mapper by itself, but nobody would know it then, and it would stay.
    return [
      { command: home, args: [], env },
      { command: findProgram('epmd') ?? 'epmd', args: mapper, env },
    ];
  },
  url: ({ ports }) => `amqp://guest:guest@127.0.0.1:${ports[AMQP]}`,
  async probe(url) {
    const { connect } = await import('amqplib');
    const connection = await connect(url, { timeout: 5000 });
    connection.on('error', () => {});
    try {
      // The server listens before it serves: only a channel says that it has started.
      await connection.createChannel();
      return String(connection.connection.serverProperties.version);
    } finally {
      await connection.close().catch(() => {});
    }
  },
};
