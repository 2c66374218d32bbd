import type { Duplex } from 'node:stream';
import { JSONFlowError } from '../../lib/errors.ts';
import { limits } from '../../protocol/limits.ts';

/**
 * Limits a peer until it has proved its identity: `limits.handshakeBytesMax` bytes in all, and a time-out. Bytes are counted on
 * the socket, so that no frame is gathered in memory first.
 *
 * @param failed called at most once, with why the peer must go
 * @returns ends the probation; to be called when the peer is welcomed and when the connection ends
 */
export function probation(socket: Duplex, timeoutMs: number, failed: (error: JSONFlowError) => void): () => void {
  let bytes = 0;
  const end = (): void => {
    clearTimeout(timer);
    socket.off('data', count);
  };
  const fail = (code: 'LIMIT_EXCEEDED' | 'NODE_REFUSED', message: string): void => {
    end();
    failed(new JSONFlowError(code, message));
  };
  const count = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes > limits.handshakeBytesMax)
      fail('LIMIT_EXCEEDED', `the peer sent more than ${limits.handshakeBytesMax} bytes before it was welcomed`);
  };
  const timer = setTimeout(() => fail('NODE_REFUSED', `the peer did not join within ${timeoutMs} ms`), timeoutMs);
  timer.unref();
  socket.on('data', count);
  return end;
}
