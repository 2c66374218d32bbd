import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { it } from 'node:test';
import { awaitGreeting } from './greeting.ts';

/** Greets at a server that says `words`, in pieces of one character, or nothing at all. */
async function greetedBy(words: string | undefined): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    if (words !== undefined) for (const character of words) socket.write(character);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  try {
    await awaitGreeting({ address: '127.0.0.1', family: 4 }, port, 200, new AbortController().signal);
  } finally {
    server.close();
  }
}

it('knows a NATS server by its first words', async () => {
  await greetedBy('INFO {"server_id":"x"}\r\n');
  await assert.rejects(greetedBy('HTTP/1.1 400\r\n'), { code: 'CONNECTION_FAILED', message: /no NATS server/ });
  await assert.rejects(greetedBy('INFOS'), { code: 'CONNECTION_FAILED', message: /no NATS server/ });
  await assert.rejects(greetedBy(undefined), { code: 'CONNECTION_FAILED', message: /says nothing/ });
});
