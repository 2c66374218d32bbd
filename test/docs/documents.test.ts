// Every block of the documents below that can be run is run, in the order of the page, in one folder per page. A comment above a
// block says what is special: `file: NAME` writes it to a file, `background: …` starts each line and leaves it running, `not run: …`
// says why it can't be run here. A ```text block after a ```sh block is what that prints, except for ids, times and digests.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { validateWorkflow } from '../../src/compose/offline.ts';
import { type Block, blocksOf, normalised } from './document.ts';
import { Sandbox } from './sandbox.ts';

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'docs/README.md',
  'docs/architecture.md',
  'docs/operations.md',
  'docs/security.md',
];

for (const name of documents) {
  it(`the examples of ${name} work`, { timeout: 180_000 }, async () => {
    const blocks = await blocksOf(new URL(`../../${name}`, import.meta.url));
    const sandbox = await Sandbox.create();
    try {
      for (const [index, block] of blocks.entries()) await check(sandbox, block, blocks[index + 1], name);
    } finally {
      await sandbox.close();
    }
  });
}

async function check(sandbox: Sandbox, block: Block, next: Block | undefined, name: string): Promise<void> {
  const { language, text, note, line } = block;
  const place = `${name}:${line}`;
  const [kind = '', detail = ''] = note.split(': ');
  if (kind === 'not run') return assert.ok(detail.length > 10, `${place}: say why it is not run`);
  if (kind === 'file') await sandbox.write(detail, text);
  switch (language) {
    case 'json': {
      const value = JSON.parse(text);
      if (value.steps === undefined) return;
      const { problems } = validateWorkflow(text) as { problems?: unknown[] };
      return assert.deepEqual(problems ?? [], [], place);
    }
    case 'js': {
      const file = await sandbox.write(`example-${line}.mjs`, text);
      const { code, err } = await sandbox.run(`node ${file}`);
      return assert.equal(code, 0, `${place}\n${err}`);
    }
    case 'sh': {
      if (kind === 'background') {
        for (const command of text.trim().split('\n')) await sandbox.start(command);
        return;
      }
      const { code, out, err } = await sandbox.run(text);
      assert.equal(code, 0, `${place}\n${out}${err}`);
      if (next?.language === 'text' && next.line > line) assert.equal(normalised(next.text), normalised(out), place);
      return;
    }
    case 'text':
    case 'qasm':
      return;
    default:
      assert.fail(`${place}: a block of language "${language}" is neither run nor marked`);
  }
}
