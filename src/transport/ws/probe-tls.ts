import { isIP } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import type { Address } from './address.ts';

export interface TlsProbe {
  /** `open`: the listener keeps the connection. `hung up`: it ended it after the handshake. `no TLS`: there was no handshake. */
  outcome: 'open' | 'hung up' | 'no TLS';
  /** Of the error that ended it, or empty. */
  code: string;
}

const handshakeMs = 2_000;

/** Shakes hands, sends nothing, and sees what the listener does within `patienceMs`. */
export function probeTls({ host, port }: Address, options: ConnectionOptions, patienceMs: number): Promise<TlsProbe> {
  return new Promise((resolve) => {
    let secured = false;
    const finish = (probe: TlsProbe): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(probe);
    };
    const ended = (error?: NodeJS.ErrnoException): void =>
      finish({ outcome: secured ? 'hung up' : 'no TLS', code: error?.code ?? '' });
    const servername = isIP(host) === 0 ? host : '';
    const socket = connect({ ...options, host, port, servername, minVersion: 'TLSv1.3' }, () => {
      secured = true;
      clearTimeout(timer);
      timer = setTimeout(() => finish({ outcome: 'open', code: '' }), patienceMs);
    });
    let timer = setTimeout(ended, handshakeMs);
    socket.on('error', ended);
    // Without a reader an end would go unseen.
    socket.on('close', () => ended()).resume();
  });
}
