/** The servers that tests of adapters talk to. The names are those of the state file, the command line and `test/support/services.ts`. */
export const serviceNames = ['postgres', 'mysql', 'redis', 'rabbitmq', 'nats', 'kafka', 'mongodb'] as const;

export type ServiceName = (typeof serviceNames)[number];

export const isServiceName = (name: string): name is ServiceName => serviceNames.some((known) => known === name);

/** The variable that holds the URL of somebody's own server, which is then used instead of one of ours. */
export const environmentVariable = (name: ServiceName): string => `JSONFLOW_TEST_${name.toUpperCase()}`;

/** The URL in the server's variable, or undefined where it is unset or empty. */
export const givenUrl = (name: ServiceName, environment: NodeJS.ProcessEnv = process.env): string | undefined =>
  environment[environmentVariable(name)] || undefined;
