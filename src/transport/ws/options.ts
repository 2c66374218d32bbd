import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { TlsOptions } from 'node:tls';
import { limits } from '../../protocol/limits.ts';

/** PEM texts. */
export interface TlsFiles {
  /** This node's certificate, and its chain. Needed to listen; to connect, where the listener asks for one. */
  cert?: string | Buffer;
  key?: string | Buffer;
  /** Who may have signed the peer's certificate. A listener with it demands one; for connecting it replaces the system's list. */
  ca?: string | Buffer;
}

export interface WsTransportOptions {
  /** Listen on this server's upgrades instead of on an own port. It may begin to listen later, and is not closed. */
  server?: HttpServer | HttpsServer;
  /** Default `/ws`. */
  path?: string;
  /** Where an own server listens. Default 127.0.0.1. */
  host?: string;
  /** Default 0: any free one. */
  port?: number;
  /** Turns an own server into a TLS 1.3 one; also used to connect to `wss://`. */
  tls?: TlsFiles;
  /** Allows to connect to `ws://` beyond this machine, where everyone on the way can read and change what is sent. */
  insecure?: boolean;
  /** Until a connection is open. Default 10 s. */
  connectTimeoutMs?: number;
  /** From the accepted connection to the `welcome`. Default `limits.handshakeTimeoutMs`. */
  handshakeTimeoutMs?: number;
  /** How long `close()` waits for the peer to take what is queued. Default 10 s. */
  closeTimeoutMs?: number;
  /** Accepted connections that may wait for their `welcome` at one time; more get a 503. Default 256. */
  pendingMax?: number;
}

export type Settings = Required<Omit<WsTransportOptions, 'server' | 'tls'>> &
  Pick<WsTransportOptions, 'server' | 'tls'>;

export const withDefaults = (options: WsTransportOptions): Settings => ({
  path: '/ws',
  host: '127.0.0.1',
  port: 0,
  insecure: false,
  connectTimeoutMs: limits.handshakeTimeoutMs,
  handshakeTimeoutMs: limits.handshakeTimeoutMs,
  closeTimeoutMs: 10_000,
  pendingMax: 256,
  ...options,
});

/** What `ws` is told at both ends. Compression would cost more than it saves and lets lengths leak what a frame holds. */
export const socketOptions = (settings: Settings) => ({
  perMessageDeflate: false,
  maxPayload: limits.frameBytesMax,
  closeTimeout: settings.closeTimeoutMs,
});

/** Ms of silence before the kernel probes a connection whose other end may be gone. */
export const keepAliveMs = 15_000;

/** The options of a Node TLS or HTTPS server for nodes: TLS 1.3 alone, and mutual where `ca` is given. */
export const tlsServerOptions = (tls: TlsFiles): TlsOptions => ({
  ...tls,
  minVersion: 'TLSv1.3',
  handshakeTimeout: limits.handshakeTimeoutMs,
  requestCert: tls.ca !== undefined,
  rejectUnauthorized: tls.ca !== undefined,
});
