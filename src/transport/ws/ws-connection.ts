import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { WebSocket } from 'ws';
import { JSONFlowError, messageOf } from '../../lib/errors.ts';
import type { Connection, Packet } from '../../ports/transport.ts';
import { limits } from '../../protocol/limits.ts';
import { DrainGate, overloadBytes } from '../drain-gate.ts';
import { failures } from '../failures.ts';
import { Inbox } from '../inbox.ts';
import { decodeFrame, type EncodedPacket, encodeFrames, encodePacket, frameSize } from './frame.ts';

/** Close codes of RFC 6455 that mean that the peer wanted it: normal, going away, none stated. */
const purposeful = new Set([1000, 1001, 1005]);

/**
 * A connection over an open WebSocket. Packets of one turn of the event loop leave in one frame. Ends in one of three ways: this
 * side closes (`closing` until the peer has answered), the peer closes, or it breaks.
 */
export class WsConnection implements Connection {
  readonly peer: string;
  readonly channelBinding: Uint8Array | undefined;
  readonly local = false;
  readonly #ws: WebSocket;
  readonly #inbox: Inbox;
  readonly #gate = new DrainGate();
  readonly #welcomed: (() => void) | undefined;
  #state: 'open' | 'closing' | 'closed' = 'open';
  #queue: EncodedPacket[] = [];
  #queuedBytes = 0;
  #inFlightBytes = 0;
  #scheduled = false;
  #cause: Error | undefined;

  /**
   * @param ws open, with no message read from it yet
   * @param socket what the WebSocket runs over
   * @param welcomed called when this side sends a `welcome`: the peer has then proved its identity
   */
  constructor(ws: WebSocket, socket: Duplex, peer: string, welcomed?: () => void) {
    this.#ws = ws;
    this.peer = peer;
    this.#welcomed = welcomed;
    this.channelBinding = bindingOf(socket);
    this.#inbox = new Inbox(
      () => {
        if (ws.isPaused) ws.resume();
      },
      (thrown) => this.destroy(failures.receiver(thrown)),
    );
    ws.on('message', (data, isBinary) => this.#onMessage(data, isBinary));
    ws.on('error', (error) => this.#onError(error));
    ws.on('close', (code) => this.#onEnd(code));
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + this.#inFlightBytes;
  }

  send(packet: Packet): void {
    if (this.#state !== 'open') return;
    const encoded = encodePacket(packet);
    const size = frameSize(encoded);
    if (size > limits.frameBytesMax) throw failures.tooLarge(size);
    if (this.bufferedBytes > overloadBytes) {
      this.destroy(failures.overloaded(this.peer));
      return;
    }
    this.#queue.push(encoded);
    this.#queuedBytes += encoded.size;
    if (packet.message.kind === 'welcome') this.#welcomed?.();
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the microtasks of this turn; setImmediate would group a little more, at twice the latency.
    process.nextTick(() => this.#flush());
  }

  drained(): Promise<void> {
    return this.#state === 'open' ? this.#gate.wait(this.bufferedBytes) : Promise.resolve();
  }

  onPacket(receive: (packet: Packet) => void): void {
    this.#inbox.onPacket(receive);
  }

  onClose(closed: (error?: Error) => void): void {
    this.#inbox.onClose(closed);
  }

  close(): void {
    if (this.#state !== 'open') return;
    this.#flush();
    this.#state = 'closing';
    this.#gate.open();
    this.#inbox.mute();
    this.#ws.close(1000);
  }

  destroy(error?: Error): void {
    if (this.#state === 'closed') return;
    this.#ws.terminate();
    this.#inbox.mute();
    this.#end(error);
  }

  #flush(): void {
    this.#scheduled = false;
    const queue = this.#queue;
    if (queue.length === 0) return;
    this.#queue = [];
    this.#queuedBytes = 0;
    for (const frame of encodeFrames(queue)) {
      this.#inFlightBytes += frame.length;
      this.#ws.send(frame, { binary: true }, () => {
        this.#inFlightBytes -= frame.length;
        this.#gate.update(this.bufferedBytes);
      });
    }
  }

  #onMessage(data: unknown, isBinary: boolean): void {
    if (this.#state !== 'open') return;
    try {
      if (!isBinary || !Buffer.isBuffer(data))
        throw new JSONFlowError('INVALID_MESSAGE', 'a text frame came from the peer');
      const packets = decodeFrame(data);
      for (const packet of packets) this.#inbox.push(packet, data.length / packets.length);
    } catch (thrown) {
      this.destroy(thrown instanceof Error ? thrown : new JSONFlowError('INTERNAL', messageOf(thrown)));
    }
    if (!this.#inbox.hasReceiver && this.#inbox.heldBytes > limits.handshakeBytesMax) this.#ws.pause();
  }

  #onError(error: Error): void {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH')
      this.destroy(new JSONFlowError('LIMIT_EXCEEDED', 'the peer sent a frame above the limit', { cause: error }));
    else if (code?.startsWith('WS_ERR_'))
      this.destroy(new JSONFlowError('INVALID_MESSAGE', `the peer broke the WebSocket protocol: ${error.message}`));
    // What broke the connection; its close follows.
    else this.#cause = error;
  }

  #onEnd(code: number): void {
    if (this.#state === 'closed') return;
    const onPurpose = this.#state === 'closing' || purposeful.has(code);
    this.#end(onPurpose ? undefined : failures.lost(this.peer, this.#cause));
  }

  #end(error: Error | undefined): void {
    this.#state = 'closed';
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#gate.open();
    this.#inbox.end(error);
  }
}

/** RFC 9266: label EXPORTER-Channel-Binding, empty context, 32 bytes. */
function bindingOf(socket: Duplex): Uint8Array | undefined {
  if (!(socket instanceof TLSSocket) || socket.getProtocol() !== 'TLSv1.3') return undefined;
  return socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
}
