import { isUtf8 } from 'node:buffer';
import { JSONFlowError } from '../../lib/errors.ts';
import type { Packet } from '../../ports/transport.ts';
import { limits } from '../../protocol/limits.ts';
import { parseMessage } from '../../protocol/message-schema.ts';

// One frame is one binary WebSocket message and carries many packets, so that they share one header, one system call and one
// JSON.parse. Numbers are unsigned, big-endian:
//
//   u8   version, 1
//   u32  length of the JSON
//   u32  number of attachments
//   for each attachment: u32 index of its packet, u32 length; indexes rise
//   JSON, UTF-8: an array of messages
//   the bytes of the attachments, one after the other, up to the end

const version = 1;
const headerBytes = 9;
const entryBytes = 8;
/** Header and the brackets of the array. */
const frameOverheadBytes = headerBytes + 2;

/** Frames are closed at this size, so that a heartbeat need not wait behind many MiB; one packet may be larger. */
const frameTargetBytes = 1024 * 1024;

/** A packet whose message has been written as JSON. */
export interface EncodedPacket {
  json: string;
  jsonBytes: number;
  bytes: Uint8Array | undefined;
  /** What the packet adds to a frame. */
  size: number;
}

/** The parts of a packet, and what they take in a frame. */
export function encodePacket({ message, bytes }: Packet): EncodedPacket {
  const json = JSON.stringify(message);
  const jsonBytes = Buffer.byteLength(json);
  // One more for the comma.
  const size = jsonBytes + 1 + (bytes === undefined ? 0 : entryBytes + bytes.byteLength);
  return { json, jsonBytes, bytes, size };
}

/** The size of a frame that carries nothing but this packet. */
export const frameSize = (packet: EncodedPacket): number => frameOverheadBytes + packet.size;

/** Packs packets into as few frames as their sizes allow, in order. Each packet alone must fit into `limits.frameBytesMax`. */
export function encodeFrames(packets: readonly EncodedPacket[]): Buffer[] {
  const frames: Buffer[] = [];
  let first = 0;
  let size = 0;
  packets.forEach((packet, i) => {
    if (i > first && size + packet.size > frameTargetBytes) {
      frames.push(encodeFrame(packets.slice(first, i)));
      first = i;
      size = 0;
    }
    size += packet.size;
  });
  if (first < packets.length) frames.push(encodeFrame(first === 0 ? packets : packets.slice(first)));
  return frames;
}

function encodeFrame(packets: readonly EncodedPacket[]): Buffer {
  const json = `[${packets.map((packet) => packet.json).join(',')}]`;
  const attachments = packets.flatMap(({ bytes }, index) => (bytes === undefined ? [] : [{ index, bytes }]));
  let jsonBytes = packets.length + 1;
  for (const packet of packets) jsonBytes += packet.jsonBytes;
  let size = headerBytes + entryBytes * attachments.length + jsonBytes;
  for (const { bytes } of attachments) size += bytes.byteLength;

  const frame = Buffer.allocUnsafe(size);
  frame[0] = version;
  frame.writeUInt32BE(jsonBytes, 1);
  frame.writeUInt32BE(attachments.length, 5);
  let at = headerBytes;
  for (const { index, bytes } of attachments) {
    frame.writeUInt32BE(index, at);
    frame.writeUInt32BE(bytes.byteLength, at + 4);
    at += entryBytes;
  }
  at += frame.write(json, at, 'utf8');
  for (const { bytes } of attachments) {
    frame.set(bytes, at);
    at += bytes.byteLength;
  }
  return frame;
}

const malformed = (what: string): JSONFlowError =>
  new JSONFlowError('INVALID_MESSAGE', `malformed frame: ${what}`, {
    hint: 'Make sure that a JSONFlow node is at the other end.',
  });

/**
 * Reads a frame from a peer that may be hostile. The packets' bytes are views of the frame.
 * @throws JSONFlowError INVALID_MESSAGE
 */
export function decodeFrame(frame: Buffer): Packet[] {
  if (frame.length < frameOverheadBytes) throw malformed('too short');
  if (frame[0] !== version) throw malformed(`version ${frame[0]} is not ${version}`);
  const jsonBytes = frame.readUInt32BE(1);
  const attachments = frame.readUInt32BE(5);
  const jsonStart = headerBytes + entryBytes * attachments;
  const jsonEnd = jsonStart + jsonBytes;
  if (jsonEnd > frame.length || frame.length > limits.frameBytesMax) throw malformed('its lengths do not fit its size');

  const packets = decodeMessages(frame.subarray(jsonStart, jsonEnd));
  let at = jsonEnd;
  let previous = -1;
  for (let entry = headerBytes; entry < jsonStart; entry += entryBytes) {
    const index = frame.readUInt32BE(entry);
    const length = frame.readUInt32BE(entry + 4);
    const packet = packets[index];
    if (packet === undefined || index <= previous) throw malformed('an attachment belongs to no message');
    if (length > frame.length - at) throw malformed('an attachment is longer than the rest');
    packet.bytes = frame.subarray(at, at + length);
    previous = index;
    at += length;
  }
  if (at !== frame.length) throw malformed(`${frame.length - at} bytes too many`);
  return packets;
}

function decodeMessages(json: Buffer): Packet[] {
  // Decoding would put a replacement character in the place of bad bytes, and the value would no longer be what was sent.
  if (!isUtf8(json)) throw malformed('the JSON is not UTF-8');
  let values: unknown;
  try {
    values = JSON.parse(json.toString());
  } catch (cause) {
    // The parser's message quotes the input, which may hold a secret.
    throw malformed(cause instanceof SyntaxError ? 'not JSON' : 'its JSON cannot be read');
  }
  if (!Array.isArray(values)) throw malformed('not an array of messages');
  return values.map((value) => ({ message: parseMessage(value) }));
}
