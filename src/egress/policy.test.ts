import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Reach } from '../ports/egress.ts';
import { createPolicy, type EgressRules } from './policy.ts';

const destination = { scheme: 'https', host: 'name.example', port: 443 };
const allows = (address: string, reach: Reach, rules: EgressRules = {}): boolean =>
  createPolicy(rules).judge(destination, address, reach) === undefined;

const publicOnes = [
  '1.1.1.1',
  '8.8.8.8',
  '172.32.0.1',
  '100.128.0.1',
  '2606:4700::1111',
  '2001:4860:4860::8888',
  '64:ff9b::8.8.8.8',
];
const privateOnes = [
  '127.0.0.1',
  '127.255.0.9',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '::1',
  'fd12::1',
  'fc00::1',
];
const mappedOnes = ['::ffff:127.0.0.1', '::ffff:10.0.0.1', '64:ff9b::7f00:1', '64:ff9b::192.168.0.1', '::127.0.0.1'];
const linkLocalOnes = [
  '169.254.169.254',
  '169.254.0.1',
  'fe80::1',
  'fe80::1%eth0',
  'fd00:ec2::254',
  'fd20:ce::254',
  '168.63.129.16',
];
const specialOnes = [
  ...[
    '0.0.0.0',
    '0.1.2.3',
    '100.64.0.1',
    '100.100.100.200',
    '192.0.0.192',
    '192.0.2.1',
    '192.88.99.1',
    '198.18.0.1',
    '198.51.100.1',
  ],
  ...[
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.250',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '2001:db8::1',
    '3fff::1',
    '5f00::1',
  ],
  ...[
    '2002:7f00:1::',
    '2001:0:4136:e378:8000:63bf:3fff:fdd2',
    '100::1',
    'ff02::1',
    'fec0::1',
    '64:ff9b:1::7f00:1',
    '::ffff:0:127.0.0.1',
  ],
  ...['4000::1', '::5efe:7f00:1', '0:0:0:1::1', '2001:4860::5efe:7f00:1', '2001:4860::200:5efe:7f00:1'],
];

test('public addresses are everybody’s, private ones the operator’s, all others nobody’s', () => {
  for (const one of publicOnes) assert.ok(allows(one, 'public') && allows(one, 'operator'), one);
  for (const one of [...privateOnes, ...mappedOnes]) assert.ok(!allows(one, 'public') && allows(one, 'operator'), one);
  for (const one of [...linkLocalOnes, ...specialOnes])
    assert.ok(!allows(one, 'public') && !allows(one, 'operator'), one);
});

test('no rule about names opens link-local and special addresses, since whoever owns the name chooses the address', () => {
  for (const rule of ['*', 'name.example', '*.example', 'https://name.example:443'])
    for (const one of [...linkLocalOnes, ...specialOnes])
      assert.ok(!allows(one, 'operator', { allow: [rule] }), `${rule} ${one}`);
  assert.ok(allows('169.254.169.254', 'public', { allow: ['169.254.169.254'] }));
  assert.ok(allows('fd00:ec2::254', 'public', { allow: ['[fd00:ec2::254]:443'] }));
});

test('a rule about a name opens private addresses to strangers', () => {
  assert.ok(allows('10.0.0.1', 'public', { allow: ['name.example'] }));
  assert.ok(!allows('10.0.0.1', 'public', { allow: ['other.example'] }));
});

test('a denial wins over everything, in every notation of the address', () => {
  for (const allow of [['*'], ['10.0.0.0/8'], ['name.example']]) {
    assert.ok(!allows('10.0.0.1', 'operator', { allow, deny: ['10.0.0.0/8'] }));
    assert.ok(!allows('::ffff:10.0.0.1', 'operator', { allow, deny: ['10.0.0.0/8'] }));
    assert.ok(!allows('64:ff9b::10.0.0.1', 'operator', { allow, deny: ['10.0.0.0/8'] }));
    assert.ok(!allows('10.0.0.1', 'operator', { allow, deny: ['[::ffff:10.0.0.0]/104'] }));
  }
  assert.ok(!allows('8.8.8.8', 'operator', { deny: ['*'] }));
});

test('with default none only what a rule allows is reached', () => {
  assert.ok(!allows('8.8.8.8', 'operator', { default: 'none' }));
  assert.ok(allows('8.8.8.8', 'public', { default: 'none', allow: ['name.example'] }));
  const policy = createPolicy({ default: 'none', allow: ['sqlite:/data/*'] });
  assert.equal(policy.judgePath('sqlite', '/data/a', 'operator'), undefined);
  assert.notEqual(policy.judgePath('sqlite', '/etc/a', 'operator'), undefined);
});

test('files are the operator’s alone', () => {
  const policy = createPolicy({ allow: ['sqlite:/shared/*'], deny: ['sqlite:/secret/*'] });
  assert.equal(policy.judgePath('sqlite', '/x', 'operator'), undefined);
  assert.notEqual(policy.judgePath('sqlite', '/x', 'public'), undefined);
  assert.equal(policy.judgePath('sqlite', '/shared/x', 'public'), undefined);
  assert.notEqual(policy.judgePath('sqlite', '/secret/x', 'operator'), undefined);
});

test('an IPv4 address is judged alike in every form that stands for it', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.constantFrom<Reach>('public', 'operator'), (address, reach) => {
      const plain = allows(address, reach);
      for (const prefix of ['::ffff:', '64:ff9b::']) assert.equal(allows(`${prefix}${address}`, reach), plain, prefix);
    }),
  );
});

test('whatever strangers reach, the operator reaches too', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
      if (allows(address, 'public')) assert.ok(allows(address, 'operator'));
    }),
  );
});
