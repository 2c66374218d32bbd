import type { Transport } from '../../ports/transport.ts';
import { type WsTransportOptions, withDefaults } from './options.ts';
import { connectWs } from './ws-connect.ts';
import { listenWs } from './ws-listener.ts';

/**
 * Nodes over WebSocket (RFC 6455), plain or over TLS 1.3. One port serves it beside HTTP: it takes the upgrades of one path.
 * Frames that are not messages end their connection with INVALID_MESSAGE; a peer that reads too slowly ends with OVERLOADED.
 *
 * `listen` rejects with INVALID_CONFIG where certificate or port cannot be used; `connect` with NODE_UNREACHABLE, with INVALID_CONFIG
 * for a plain address beyond this machine, or with the signal's reason. A name that does not resolve counts as retriable: a machine
 * that wakes up, or starts before its network, must not give up for good.
 *
 * @example
 * const transport = wsTransport({ port: 8080 });
 * const listener = await transport.listen((connection) => connection.onPacket(console.log));
 * const connection = await wsTransport().connect('localhost:8080');
 */
export function wsTransport(options: WsTransportOptions = {}): Transport {
  const settings = withDefaults(options);
  return {
    listen: (accept) => listenWs(settings, accept),
    connect: (url, { signal } = {}) => connectWs(url, settings, signal),
  };
}
