import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import type { Recipe } from './recipe.ts';
import { findProgram, run } from './run.ts';

const VERSION = '4.4.0';
const cached = cacheFolder(`kafka-${VERSION}`);

const dependency = (groupId: string, artifactId: string, version: string): string =>
  `<dependency><groupId>${groupId}</groupId><artifactId>${artifactId}</artifactId><version>${version}</version></dependency>`;

/** A project that has nothing but dependencies; Maven then finds what they need in turn. */
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>jsonflow</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>
${dependency('org.apache.kafka', 'kafka_2.13', VERSION)}
${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}
</dependencies></project>
`;

/** A small machine runs six other servers besides; the second compiler would cost more than it gains in a broker of a few minutes. */
const jvm = [
  '-Xms64m',
  '-Xmx512m',
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
];

const java = (home: string, ...args: string[]): string[] => [...jvm, '-cp', join(home, '*'), ...args];

const properties = (dir: string, [broker, controller]: readonly number[]): Record<string, string | number> => ({
  'process.roles': 'broker,controller',
  'node.id': 1,
  'controller.quorum.voters': `1@127.0.0.1:${controller}`,
  listeners: `PLAINTEXT://127.0.0.1:${broker},CONTROLLER://127.0.0.1:${controller}`,
  'advertised.listeners': `PLAINTEXT://127.0.0.1:${broker}`,
  'controller.listener.names': 'CONTROLLER',
  'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
  'log.dirs': join(dir, 'data'),
  'offsets.topic.replication.factor': 1,
  'offsets.topic.num.partitions': 5,
  'transaction.state.log.replication.factor': 1,
  'transaction.state.log.min.isr': 1,
  'transaction.state.log.num.partitions': 5,
  'share.coordinator.state.topic.replication.factor': 1,
  'share.coordinator.state.topic.min.isr': 1,
  'group.initial.rebalance.delay.ms': 0,
  // A broker that was killed may come back only when its last life has timed out, which would take 9 s.
  'broker.session.timeout.ms': 2000,
  'broker.heartbeat.interval.ms': 500,
});

export const kafka: Recipe = {
  title: 'Kafka',
  version: VERSION,
  portCount: 2,
  installation: {
    kind: 'cache',
    folder: cached,
    needs: ['mvn', 'java'],
    async build(folder) {
      writeFileSync(join(folder, 'pom.xml'), pom);
      mkdirSync(join(folder, 'libs'));
      const goal = ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=libs'];
      await run('mvn', goal, { cwd: folder, timeoutMs: 900_000 });
    },
  },
  find() {
    const homes = [process.env.KAFKA_HOME, cached, '/opt/kafka'].filter((home) => home !== undefined);
    const libs = homes.map((home) => join(home, 'libs')).find((folder) => existsSync(folder));
    return findProgram('java') && libs;
  },
  async prepare(home, { dir, ports }, runAs) {
    const config = join(dir, 'server.properties');
    writeFileSync(
      config,
      Object.entries(properties(dir, ports))
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    );
    // An id that begins with '-' would be taken for an option.
    const clusterId = `J${randomBytes(16).toString('base64url').slice(1)}`;
    await runAs('java', java(home, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', config));
  },
  programs: (home, { dir }) => [{ command: 'java', args: java(home, 'kafka.Kafka', join(dir, 'server.properties')) }],
  url: ({ ports }) => `kafka://127.0.0.1:${ports[0]}`,
  async probe(url) {
    const { Admin } = await import('@platformatic/kafka');
    const { host } = new URL(url);
    const admin = new Admin({ clientId: 'jsonflow-services', bootstrapBrokers: [host], retries: 0, timeout: 5000 });
    try {
      const { brokers } = await admin.metadata({});
      if (brokers.size === 0) throw new Error('no broker has registered yet');
      // The protocol has no word for the version of a broker.
      return '';
    } finally {
      await admin.close();
    }
  },
};
