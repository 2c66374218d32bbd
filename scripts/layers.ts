// The import layers of docs/architecture.md as a table, checked with dependency-cruiser.
import { cruise, type IForbiddenRuleType, type IReporterOutput } from 'dependency-cruiser';

/** What each layer may import from `src/`, besides itself and `lib`. */
const layers: Record<string, string[]> = {
  lib: [],
  protocol: [],
  ports: ['protocol'],
  core: ['protocol'],
  identity: ['ports', 'protocol'],
  vault: ['ports', 'protocol'],
  transport: ['ports', 'protocol'],
  store: ['ports', 'protocol'],
  egress: ['ports', 'protocol'],
  kit: ['ports', 'protocol'],
  adapters: ['kit', 'ports', 'protocol'],
  link: ['ports', 'protocol'],
  engine: ['core', 'link', 'ports', 'protocol'],
  worker: ['core', 'link', 'ports', 'protocol'],
  http: ['engine', 'protocol'],
  compose: [
    'lib',
    'protocol',
    'ports',
    'core',
    'identity',
    'vault',
    'transport',
    'store',
    'egress',
    'kit',
    'adapters',
    'engine',
    'worker',
    'http',
  ],
  cli: ['compose', 'protocol'],
};

/** Fewer modules than this means that the tool looked at nothing, not that all is well. */
const MODULES_MIN = 60;

const forbidden = Object.entries(layers).map(([layer, allowed]) => ({
  name: `layer-${layer}`,
  severity: 'error' as const,
  comment: `${layer}/ may import ${['lib', ...allowed].join(', ')} only`,
  from: { path: `^src/${layer}/`, pathNot: '\\.test\\.ts$' },
  to: { path: '^src/[^/]+/', pathNot: [layer, 'lib', ...allowed].map((name) => `^src/${name}/`) },
}));

const rules: IForbiddenRuleType[] = [
  ...forbidden,
  { name: 'no-cycles', severity: 'error' as const, from: {}, to: { circular: true } },
  {
    name: 'adapters-apart',
    severity: 'error' as const,
    from: { path: '^src/adapters/([^/]+)/' },
    to: { path: '^src/adapters/', pathNot: '^src/adapters/$1/' },
  },
  {
    name: 'core-is-pure',
    severity: 'error' as const,
    from: { path: '^src/core/', pathNot: '\\.test\\.ts$' },
    // node:crypto is pure for hashing and checking signatures; everything else reaches outside.
    to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
  },
];

const result = await cruise(
  ['src'],
  { ruleSet: { forbidden: rules }, tsPreCompilationDeps: true, validate: true, doNotFollow: { path: 'node_modules' } },
  { extensions: ['.ts'] } as never,
);
const output = result.output as Exclude<IReporterOutput['output'], string>;
for (const { rule, from, to } of output.summary.violations) console.error(`${rule.name}: ${from} → ${to}`);
const { totalCruised, error } = output.summary;
console.log(`${totalCruised} modules, ${error} violations`);
if (totalCruised < MODULES_MIN) {
  console.error(
    `Only ${totalCruised} modules were looked at (expected at least ${MODULES_MIN}): the check itself is broken.`,
  );
  process.exit(1);
}
process.exit(error > 0 ? 1 : 0);
