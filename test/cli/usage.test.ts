import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { call } from './terminal.ts';

describe('help', () => {
  it('lists every command', async () => {
    const { code, out } = await call(['--help']);
    assert.equal(code, 0);
    for (const { name, summary } of commands) assert.ok(out.includes(`${name} `) && out.includes(summary), name);
  });

  it('is what a bare call shows, as bad usage', async () => {
    const { code, out } = await call([]);
    assert.equal(code, 2);
    assert.match(out, /Usage: jsonflow COMMAND/);
  });

  for (const command of commands)
    it(`of ${command.name} names its options and shows an example that parses`, async () => {
      for (const argv of [
        [command.name, '--help'],
        [command.name, '-h'],
        ['help', command.name],
      ]) {
        const { code, out, err } = await call(argv);
        assert.equal(code, 0, err);
        for (const name of Object.keys(command.options)) assert.ok(out.includes(`--${name}`), name);
        for (const example of command.examples) assert.ok(out.includes(example));
      }
      assert.ok(command.examples.length > 0);
      for (const example of command.examples) assert.ok(example.includes(`jsonflow ${command.name}`), example);
    });

  it('knows the version', async () => {
    for (const argv of [['--version'], ['-v'], ['version']]) assert.match((await call(argv)).out, /^\d+\.\d+\.\d+\n$/);
  });
});

describe('bad usage exits with 2 and says what to do', () => {
  const table: [argv: string[], what: RegExp, todo: RegExp][] = [
    [['rum'], /unknown command "rum"/, /Did you mean "jsonflow run"\?/],
    [['frobnicate'], /unknown command/, /See "jsonflow --help"/],
    [['run', 'a.json', '--inptu', 'x=1'], /unknown option --inptu/, /Did you mean --input\?/],
    [['run', '--bundle'], /--bundle needs a value/, /--help/],
    [['run'], /needs FILE/, /Usage: jsonflow run FILE/],
    [['run', 'a', 'b'], /unexpected argument "b"/, /Usage/],
    [['run', 'nowhere.json'], /there is no file "nowhere.json"/, /Check the path/],
    [['run', '.'], /is a folder/, /Name a file/],
    [['run', '-'], /nothing is piped/, /Pipe/],
    [['validate', '--json=1', 'x'], /--json takes no value/, /--help/],
    [['node', '--role', 'worke'], /--role can't be "worke"/, /Did you mean worker\?/],
    [['node', '--role', 'worker'], /needs a coordinator/, /--connect/],
    [['node', '--role', 'coordinator', '--connect', 'x:1'], /connects to nobody/, /Leave --connect out/],
    [['node', '--port', '99999'], /--port must be a whole number/, /Correct/],
    [['node', '--resources', 'ram_mb=lots'], /ram_mb must be a number/, /--resources k=1/],
    [['node', '--labels', 'zone'], /"zone" is not k=v/, /--labels k=v/],
    [['node', '--tls-cert', 'package.json'], /belong together/, /Give both/],
    [['node', '--config', 'package.json'], /unknown field "name"/, /Known: nodeId/],
    [['nodes', '--connect', 'ftp://x'], /no address of a coordinator/, /http:\/\/host:8080/],
    [['nodes', '--connect', 'http://a:b@x'], /must not carry a password/, /--token/],
    [['nodes', '--connect', 'host.example:1', '--token', 't'], /token would go to .* in plain text/, /--insecure/],
    [['runs', '--limit', '0'], /--limit must be a whole number/, /Correct/],
    [['completion', 'tcsh'], /no completion for "tcsh"/, /bash, zsh, fish/],
    [['verify', 'package.json', '--trust', 'package.json'], /is no trust file/, /jsonflow keys/],
  ];
  for (const [argv, what, todo] of table)
    it(argv.join(' '), async () => {
      const { code, out, err } = await call(argv);
      assert.equal(code, 2, err);
      assert.equal(out, '');
      const lines = err.trimEnd().split('\n');
      assert.equal(lines.length, 2, err);
      assert.match(String(lines[0]), what);
      assert.match(String(lines[1]), todo);
    });
});

describe('a node that is not there', () => {
  for (const argv of [['nodes'], ['runs'], ['show', 'r'], ['logs', 'r'], ['cancel', 'r'], ['keys']])
    it(`${argv.join(' ')} exits with 5`, async () => {
      const { code, err } = await call([...argv, '--connect', 'http://127.0.0.1:9']);
      assert.equal(code, 5);
      assert.match(err, /can't be reached: nothing listens there\n.*jsonflow node/);
    });
});

describe('completion', () => {
  for (const shell of ['bash', 'zsh', 'fish'])
    it(`for ${shell} knows every command and option`, async () => {
      const { code, out } = await call(['completion', shell]);
      assert.equal(code, 0);
      for (const { name, options } of commands) {
        assert.ok(out.includes(name), name);
        for (const option of Object.keys(options)) assert.ok(out.includes(option), `${name} --${option}`);
      }
    });

  it('works in bash', async () => {
    const { out } = await call(['completion', 'bash']);
    const complete = (...words: string[]): string =>
      spawnSync(
        'bash',
        [
          '-c',
          `${out}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=$((\${#COMP_WORDS[@]}-1)); _jsonflow; echo "\${COMPREPLY[*]}"`,
        ],
        { encoding: 'utf8' },
      ).stdout.trim();
    assert.equal(complete('jsonflow', 'ver'), 'verify version');
    assert.equal(complete('jsonflow', 'run', '--bu'), '--bundle');
    assert.equal(complete('jsonflow', 'node', '--role', ''), 'coordinator worker');
  });
});
