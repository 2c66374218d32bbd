// Tables and lists of the documents say what the code says.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { coordinatorDefaults } from '../../src/engine/config.ts';
import { limits } from '../../src/protocol/limits.ts';

const root = new URL('../../', import.meta.url);
const read = (name: string): Promise<string> => readFile(new URL(name, root), 'utf8');

/** Rows of the tables below a heading, or of all, as cells. */
const rowsOf = (text: string, heading = ''): string[][] =>
  [...text.slice(text.indexOf(heading)).matchAll(/^\|(.*)\|$/gm)].map(([, row = '']) =>
    row.split('|').map((cell) => cell.trim()),
  );

function shown(name: string, value: number): string {
  if (name.endsWith('Ms')) return `${value / 1000} s`;
  if (!name.includes('Bytes')) return value.toLocaleString('en-US');
  return value >= 2 ** 20 ? `${value / 2 ** 20} MiB` : `${value / 2 ** 10} KiB`;
}

it('docs/operations.md states every limit', async () => {
  const rows = rowsOf(await read('docs/operations.md'), '## Limits');
  const stated = Object.fromEntries(rows.map(([name = '', value = '']) => [name, value]));
  for (const [name, value] of Object.entries(limits)) assert.equal(stated[`\`${name}\``], shown(name, value), name);
});

it('docs/operations.md states every setting of a coordinator with its default', async () => {
  const text = await read('docs/operations.md');
  const stated = Object.fromEntries(
    rowsOf(text.slice(0, text.indexOf('## Limits'))).map(([name = '', value = '']) => [name, value]),
  );
  const { localSteps, runsActiveMax, ...others } = coordinatorDefaults;
  for (const [name, value] of Object.entries(others)) assert.equal(stated[`\`${name}\``], String(value), name);
  assert.ok(text.includes(`\`runsActiveMax\` (${runsActiveMax})`));
  assert.ok(rowsOf(text).some(([name, , value]) => name === '`localSteps`' && value === `\`${localSteps}\``));
});

it('docs/operations.md states every field of EngineConfig', async () => {
  const source = await read('src/compose/config.ts');
  const declaration = /export interface EngineConfig \{\n(.*?)^\}/ms.exec(source)?.[1] ?? '';
  const fields = [...declaration.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => name);
  const capabilities = [...declaration.matchAll(/^ {4}(\w+)\??:/gm)].map(([, name]) => `capabilities.${name}`);
  assert.ok(fields.length > 15 && capabilities.length > 5);
  const stated = new Set(rowsOf(await read('docs/operations.md')).map(([name]) => name));
  for (const name of [...fields, ...capabilities])
    if (name !== 'capabilities') assert.ok(stated.has(`\`${name}\``), name);
});

it('docs/operations.md names every metric', async () => {
  const [text, source] = await Promise.all([read('docs/operations.md'), read('src/http/metrics.ts')]);
  const names = [...source.matchAll(/'(jsonflow_\w+)'/g)].map(([, name = '']) => name);
  assert.ok(names.length > 10);
  for (const name of names) assert.ok(text.includes(name), name);
});

it('docs/architecture.md names every folder of src and every event of the journal', async () => {
  const [text, source] = await Promise.all([read('docs/architecture.md'), read('src/protocol/events.ts')]);
  const folders = (await readdir(new URL('src', root), { withFileTypes: true })).filter((entry) => entry.isDirectory());
  for (const { name } of folders) assert.match(text, new RegExp(`\\| \`${name}/`), name);
  const kinds = [...source.matchAll(/kind: '([\w.]+)'/g)].map(([, kind]) => kind);
  assert.ok(kinds.length > 8);
  for (const kind of kinds) assert.ok(text.includes(`| \`${kind}\` |`), kind);
});

it('links between the documents lead somewhere', async () => {
  const docs = (await readdir(new URL('docs', root), { recursive: true })).filter((name) => name.endsWith('.md'));
  const documents = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs.map((name) => `docs/${name}`)];
  const broken: string[] = [];
  for (const document of documents) {
    for (const [, target = ''] of (await read(document)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const url = new URL(target, new URL(document, root));
      if (!existsSync(new URL(url.pathname, url))) broken.push(`${document}: ${target}`);
      else if (url.hash !== '' && !anchorsOf(await readFile(new URL(url.pathname, url), 'utf8')).has(url.hash))
        broken.push(`${document}: ${target} has no such heading`);
    }
  }
  assert.deepEqual(broken, []);
});

/** Anchors of headings, as GitHub makes them. */
const anchorsOf = (text: string): Set<string> =>
  new Set(
    [...text.matchAll(/^#+ (.*)$/gm)].map(
      ([, heading = '']) =>
        `#${heading
          .toLowerCase()
          .replace(/[^\w\- ]/g, '')
          .replaceAll(' ', '-')}`,
    ),
  );
