import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { createHttpClient } from '../../../src/adapters/network/http/client.ts';
import { SchemaCache } from '../../../src/adapters/network/request/json-schema.ts';
import { networkRequest } from '../../../src/adapters/network/request/request.ts';
import { networkWebsocket } from '../../../src/adapters/network/websocket/websocket.ts';
import { createEgress, type Resolve } from '../../../src/egress/egress.ts';
import type { EgressRules } from '../../../src/egress/policy.ts';
import { StepError } from '../../../src/lib/errors.ts';
import { json, listening, serve, stepContext, type TestServer } from './support.ts';

/** Listens on all of loopback, and must hear nothing. */
let canary: Omit<TestServer, 'requests'>;
let heard = 0;

before(async () => {
  const server = createServer((socket) => {
    heard += 1;
    socket.destroy();
  });
  server.listen(0, '::');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  canary = {
    url: '',
    port: address.port,
    sockets: new Set(),
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
});
after(() => canary[Symbol.asyncDispose]());

/** Hosts that lead into this machine, its network or its cloud, one way or another. */
const hosts = [
  ...[
    '127.0.0.1',
    '127.1',
    '127.0.1',
    '2130706433',
    '0x7f.0.0.1',
    '0x7f000001',
    '017700000001',
    '0177.0.0.1',
    '127.0.0.1.',
  ],
  ...[
    '[::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[0:0:0:0:0:ffff:127.0.0.1]',
    '[::127.0.0.1]',
    '0',
    '0.0.0.0',
    '[::]',
  ],
  ...['localhost', 'LOCALHOST', 'localhost.', 'private.example', 'loopback.example', 'ula.example', 'metadata.example'],
  ...[
    '169.254.169.254',
    '169.254.169.254.',
    '2852039166',
    '0xa9fea9fe',
    '[fd00:ec2::254]',
    '[fd20:ce::254]',
    '168.63.129.16',
  ],
  ...['[fe80::1]', '[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '100.100.100.200', '192.0.0.192'],
  ...[
    '[64:ff9b::7f00:1]',
    '[64:ff9b::127.0.0.1]',
    '[64:ff9b:1::7f00:1]',
    '[2002:7f00:1::]',
    '[2001:0:4136:e378:8000:63bf:3fff:fdd2]',
  ],
  ...['10.0.0.1', '172.16.0.1', '192.168.0.1', '100.64.0.1', '198.18.0.1', '224.0.0.1', '255.255.255.255', '240.0.0.1'],
  ...[
    '①②⑦.⓪.⓪.①',
    '127。0。0。1',
    '１２７.0.0.1',
    '0x7f。1',
    '⑯⑨。254。⑯⑨｡254',
    'ⓛⓞⓒⓐⓛⓗⓞⓢⓣ',
    'loc\u00adalhost',
    '%6c%6f%63alhost',
    '127.0.0.%31',
  ],
];

/** URLs that are something else than they seem. */
const tricks = (port: number): string[] => [
  `http://good@127.0.0.1:${port}/`,
  `http://good.example@127.0.0.1:${port}/`,
  `http://good.example:80@127.0.0.1:${port}/`,
  `http://127.0.0.1:${port}\\@good.example/`,
  `http://good.example\\@127.0.0.1:${port}/`,
  `http:\\\\127.0.0.1:${port}/`,
  `http:/\\127.0.0.1:${port}/`,
  `http:127.0.0.1:${port}/`,
  `http:/127.0.0.1:${port}/`,
  `http:///127.0.0.1:${port}/`,
  `//127.0.0.1:${port}/`,
  `ht\ttp://127.0.0.1:${port}/`,
  `http://127.0.\n0.1:${port}/`,
  `\u0000http://127.0.0.1:${port}/`,
  ` http://127.0.0.1:${port}/ `,
  `http://127.0.0.1:${port}#@good.example/`,
  `http://127.0.0.1:${port}?@good.example/`,
  'file:///etc/passwd',
  'data:text/plain,hello',
  `gopher://127.0.0.1:${port}/_x`,
  `ftp://127.0.0.1:${port}/`,
  `dict://127.0.0.1:${port}/`,
  'unix:/var/run/docker.sock',
  'javascript:1',
  `https://127.0.0.1:${port}/`,
  'http://[::1%25lo]/',
  '',
  'http://',
  'http://:80/',
];

const named: Record<string, string[]> = {
  'private.example': ['10.0.0.5', '192.168.1.1'],
  'loopback.example': ['127.0.0.1', '::1'],
  'ula.example': ['fd12:3456::1'],
  'metadata.example': ['169.254.169.254'],
};
/** The system's resolver, and a DNS server that answers what its owner likes. */
const withNames = (rules: EgressRules) => {
  const system = createEgress({ allow: ['0.0.0.0/0', '[::]/0'] });
  const resolve: Resolve = async (host) => {
    const known = named[host];
    if (known === undefined) return system.addresses({ scheme: 'http', host, port: 0 }, 'operator');
    return known.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  };
  return createEgress(rules, resolve);
};

const refusals = ['EGRESS_DENIED', 'INVALID_PARAMS', 'HOST_NOT_FOUND'];
const isRefusal = (thrown: unknown): true => {
  assert.ok(thrown instanceof StepError && refusals.includes(thrown.code), String(thrown));
  // A name that does not exist may be tried again; it was not connected to either.
  if (thrown.code !== 'HOST_NOT_FOUND') assert.equal(thrown.retryable, false);
  return true;
};

function requesting(rules: EgressRules = {}) {
  const egress = withNames(rules);
  const http = createHttpClient({ egress });
  const schemas = new SchemaCache();
  return {
    egress,
    get: (url: string, options = {}) => networkRequest({ url, options }, stepContext(), { http, schemas }),
    [Symbol.asyncDispose]: () => http.close(),
  };
}

test('requests to loopback, private, link-local and metadata addresses are refused in every notation', async () => {
  await using client = requesting();
  for (const host of hosts) await assert.rejects(client.get(`http://${host}:${canary.port}/`), isRefusal, host);
  for (const url of tricks(canary.port)) await assert.rejects(client.get(url), isRefusal, url);
  for (const port of [22, 25, 80, 443, 2375, 6379, 9200])
    await assert.rejects(client.get(`http://127.0.0.1:${port}/`), isRefusal);
  assert.equal(heard, 0, 'nothing was connected to');
});

test('WebSockets are refused the same places', async () => {
  await using client = requesting();
  for (const host of hosts)
    await assert.rejects(
      networkWebsocket({ url: `ws://${host}:${canary.port}/` }, stepContext(), client.egress),
      isRefusal,
      host,
    );
  for (const url of tricks(canary.port))
    await assert.rejects(
      networkWebsocket({ url: url.replace(/^http/, 'ws') }, stepContext(), client.egress),
      isRefusal,
      url,
    );
  assert.equal(heard, 0);
});

test('redirects are followed to none of these, whatever the status', async () => {
  let location = '';
  let status = 302;
  await using server = await serve((_, response) => {
    response.writeHead(status, { location });
    response.end();
  });
  // The test's own server must be reachable, and nothing else.
  await using client = requesting({ allow: [`127.0.0.1:${server.port}`] });
  const targets = [
    ...hosts.map((host) => `http://${host}:${canary.port}/`),
    ...tricks(canary.port),
    `//127.0.0.1:${canary.port}/`,
    `http://127.0.0.1:${canary.port}`,
  ]
    // What is relative stays on the server itself, and what a header can't hold can't be sent.
    .filter((url) => /^([a-z]+:)?\/\//i.test(url) && [...url].every((one) => one >= ' '));
  for (const target of targets) {
    location = Buffer.from(target).toString('latin1');
    for (status of [301, 307]) {
      const before = server.requests.length;
      await assert.rejects(client.get(`${server.url}/`), isRefusalOrLoop(server, before), target);
    }
  }
  assert.equal(heard, 0);
});

/** Some targets are malformed so that they mean a path on the same server, which then redirects on and on. */
const isRefusalOrLoop = (server: TestServer, before: number) => (thrown: unknown) => {
  if (thrown instanceof StepError && thrown.code === 'TOO_MANY_REDIRECTS') return server.requests.length === before + 6;
  return isRefusal(thrown);
};

test('a name that resolves to a public address first and to loopback then gets no connection', async () => {
  const answers: string[] = [];
  const egress = createEgress({}, async () => {
    const address = answers.length === 0 ? '8.8.8.8' : '127.0.0.1';
    answers.push(address);
    return [{ address, family: 4 }];
  });
  await egress.addresses({ scheme: 'http', host: 'rebind.example', port: canary.port }, 'public');
  const http = createHttpClient({ egress });
  const schemas = new SchemaCache();
  await assert.rejects(
    networkRequest({ url: `http://rebind.example:${canary.port}/` }, stepContext(), { http, schemas }),
    isRefusal,
  );
  await assert.rejects(
    networkWebsocket({ url: `ws://rebind.example:${canary.port}/` }, stepContext(), egress),
    isRefusal,
  );
  assert.equal(heard, 0);
  assert.ok(answers.length >= 3, 'each connection asked anew');
  await http.close();
});

test('what the operator allows is reached, also by redirects and by name, and a denial wins', async () => {
  await using server = await serve((request, response) =>
    request.url === '/go' ? response.writeHead(302, { location: '/there' }).end() : json(response, { at: request.url }),
  );
  await using client = requesting({ allow: ['127.0.0.0/8'] });
  for (const host of ['127.0.0.1', '127.1', '2130706433', '0x7f.0.0.1', '①②⑦.⓪.⓪.①']) {
    const { body } = await client.get(`http://${host}:${server.port}/go`);
    assert.deepEqual(body, { at: '/there' }, host);
  }
  await using byName = requesting({ allow: ['localhost'] });
  const { body } = await byName.get(`http://localhost:${server.port}/x`);
  assert.deepEqual(body, { at: '/x' });
  await assert.rejects(byName.get(`http://127.0.0.1:${server.port}/`), isRefusal, 'the address itself was not allowed');
  await using denied = requesting({ allow: ['127.0.0.0/8'], deny: [`127.0.0.1:${server.port}`] });
  await assert.rejects(denied.get(`http://127.0.0.1:${server.port}/`), isRefusal);
  await using others = requesting({ allow: [`https://127.0.0.1`, `127.0.0.1:${server.port + 1}`] });
  await assert.rejects(others.get(`http://127.0.0.1:${server.port}/`), isRefusal, 'another scheme, another port');
});

test('a proxy must be allowed itself, and gets no address that is not', async () => {
  const asked: string[] = [];
  const { createServer: createHttpServer } = await import('node:http');
  const proxy = createHttpServer();
  proxy.on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  await using server = await listening(proxy, 'http');
  await using client = requesting({ allow: [`127.0.0.1:${server.port}`] });
  for (const host of ['127.0.0.1', 'private.example', 'metadata.example', '169.254.169.254', 'localhost'])
    await assert.rejects(client.get(`http://${host}:${canary.port}/`, { proxy: server.url }), isRefusal, host);
  assert.deepEqual(asked, []);
  await using stranger = requesting();
  await assert.rejects(stranger.get('http://8.8.8.8/', { proxy: `http://127.0.0.1:${canary.port}` }), isRefusal);
  assert.equal(heard, 0);
});

test('the canary hears what is let through, so its silence means something', async () => {
  await using client = requesting({ allow: ['127.0.0.0/8'] });
  await assert.rejects(client.get(`http://127.0.0.1:${canary.port}/`));
  assert.equal(heard, 1);
});
