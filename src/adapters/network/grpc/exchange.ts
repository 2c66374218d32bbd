import { once } from 'node:events';
import {
  type CallOptions,
  type Client,
  type ClientDuplexStream,
  Metadata,
  status as Status,
  type StatusObject,
} from '@grpc/grpc-js';
import { CallFailed, type Ended } from './status.ts';

/** One call: what goes out, and how long it may take. */
export interface Call {
  /** `/package.Service/Method` */
  path: string;
  metadata: readonly [string, string | Buffer][];
  signal: AbortSignal;
  /** Ms since 1970; told to the server. */
  deadlineMs: number;
}

const same = (bytes: Buffer): Buffer => bytes;

const metadataOf = (pairs: Call['metadata']): Metadata => {
  const metadata = new Metadata();
  for (const [name, value] of pairs) metadata.add(name, value);
  return metadata;
};

const optionsOf = ({ deadlineMs }: Call): CallOptions => (Number.isFinite(deadlineMs) ? { deadline: deadlineMs } : {});

/**
 * One message out, one in.
 * @throws CallFailed; the signal's reason
 */
export function unary(client: Client, call: Call, request: Buffer): Promise<{ message: Buffer; ended: Ended }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ message: Buffer; ended: Ended }>();
  let headers: Metadata | undefined;
  let message: Buffer | undefined;
  let failure: StatusObject | undefined;
  const running = client.makeUnaryRequest(
    call.path,
    same,
    same,
    request,
    metadataOf(call.metadata),
    optionsOf(call),
    (error, value) => {
      message = value;
      failure = error ?? undefined;
    },
  );
  const cancel = () => running.cancel();
  call.signal.addEventListener('abort', cancel, { once: true });
  running.on('metadata', (received) => {
    headers = received;
  });
  running.on('status', (status) => {
    call.signal.removeEventListener('abort', cancel);
    const ended = {
      status: failure === undefined ? status : { ...status, code: failure.code, details: failure.details },
      headers,
    };
    if (call.signal.aborted) reject(call.signal.reason);
    else if (message === undefined) reject(new CallFailed(ended));
    else resolve({ message, ended });
  });
  return promise;
}

/**
 * Any number of messages out and in, at the pace of the slower side. `take` gets one message after the other and may answer `false` to
 * end the call.
 * @throws CallFailed; what `requests` and `take` throw; the signal's reason. The call is cancelled then.
 */
export async function streaming(
  client: Client,
  call: Call,
  requests: AsyncIterable<Buffer>,
  take: (message: Buffer) => Promise<boolean> | boolean,
): Promise<Ended & { stopped: boolean }> {
  const stream: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    call.path,
    same,
    same,
    metadataOf(call.metadata),
    optionsOf(call),
  );
  let headers: Metadata | undefined;
  stream.on('metadata', (received) => {
    headers = received;
  });
  const over = Promise.withResolvers<StatusObject>();
  const finished = new AbortController();
  stream.on('status', (status: StatusObject) => {
    finished.abort();
    over.resolve(status);
  });
  // The status says it all; without a listener the error would end the process.
  stream.on('error', () => undefined);
  const cancel = () => stream.cancel();
  call.signal.addEventListener('abort', cancel, { once: true });
  let failure: { thrown: unknown } | undefined;
  const fail = (thrown: unknown): void => {
    failure ??= { thrown };
    stream.cancel();
  };
  void send(stream, requests, finished.signal).catch(fail);
  let stopped = false;
  try {
    for await (const message of stream) {
      const more = take(message as Buffer);
      if (typeof more === 'boolean' ? more : await more) continue;
      stopped = true;
      break;
    }
  } catch (thrown) {
    // What `take` threw is the reason; an error of the stream comes with its status.
    if (!isStatus(thrown)) fail(thrown);
  }
  if (stopped) stream.cancel();
  const status = stopped
    ? { code: Status.OK, details: 'ended by max_messages', metadata: new Metadata() }
    : await over.promise;
  finished.abort();
  call.signal.removeEventListener('abort', cancel);
  call.signal.throwIfAborted();
  if (failure !== undefined) throw failure.thrown;
  if (status.code !== Status.OK) throw new CallFailed({ status, headers });
  return { status, headers, stopped };
}

const isStatus = (thrown: unknown): boolean =>
  thrown instanceof Error && 'code' in thrown && 'details' in thrown && 'metadata' in thrown;

async function send(
  stream: ClientDuplexStream<Buffer, Buffer>,
  requests: AsyncIterable<Buffer>,
  finished: AbortSignal,
): Promise<void> {
  for await (const request of requests) {
    if (finished.aborted) return;
    if (!stream.write(request)) await once(stream, 'drain', { signal: finished }).catch(() => undefined);
  }
  if (!finished.aborted) stream.end();
}
