import { fromBinary } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { type Client, status as Status } from '@grpc/grpc-js';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONValue } from '../../../lib/json.ts';
import {
  build,
  type Descriptors,
  descriptorLimits,
  descriptorsOfTexts,
  isWellKnown,
  methodOf,
  unknownService,
} from './descriptors.ts';
import { type Call, streaming } from './exchange.ts';
import { decode, encode } from './message.ts';
import { CallFailed } from './status.ts';

/** The part of the reflection protocol that is used here; both versions have it. */
const protocol = (version: string): string => `syntax = "proto3";
package grpc.reflection.${version};
service ServerReflection { rpc ServerReflectionInfo(stream Request) returns (stream Response); }
message Request { oneof message_request { string file_by_filename = 3; string file_containing_symbol = 4; string list_services = 7; } }
message Response {
  oneof message_response { Files file_descriptor_response = 4; Services list_services_response = 6; Problem error_response = 7; }
}
message Files { repeated bytes file_descriptor_proto = 1; }
message Services { repeated Service service = 1; }
message Service { string name = 1; }
message Problem { int32 error_code = 1; string error_message = 2; }
`;

interface Answer {
  fileDescriptorResponse?: { fileDescriptorProto: string[] };
  listServicesResponse?: { service: { name: string }[] };
  errorResponse?: { errorCode: number };
}

type Ask = (request: Record<string, string>) => Promise<Answer>;

/**
 * Asks a server what a service looks like: its file and all that this imports. Version 1 of the protocol, or `v1alpha` where the server
 * has only that.
 * @throws StepError INVALID_PARAMS (no such service, no reflection), RESPONSE_INVALID, RESPONSE_TOO_LARGE; CallFailed; the signal's reason
 */
export async function reflect(client: Client, call: Omit<Call, 'path'>, service: string): Promise<Descriptors> {
  for (const version of ['v1', 'v1alpha'])
    try {
      return await conversation(client, call, version, (ask) => describe(ask, service));
    } catch (thrown) {
      if (!(thrown instanceof CallFailed) || thrown.ended.status.code !== Status.UNIMPLEMENTED) throw thrown;
    }
  throw new StepError(
    'INVALID_PARAMS',
    'the server does not describe its services (no reflection); give their .proto text as params.proto',
  );
}

async function describe(ask: Ask, service: string): Promise<Descriptors> {
  const found = new Map<string, FileDescriptorProto>();
  let sizeBytes = 0;
  const take = (answer: Answer): void => {
    for (const text of answer.fileDescriptorResponse?.fileDescriptorProto ?? []) {
      const bytes = Buffer.from(text, 'base64');
      sizeBytes += bytes.length;
      if (sizeBytes > descriptorLimits.binaryBytes || found.size >= descriptorLimits.files)
        throw new StepError('RESPONSE_TOO_LARGE', 'the server describes more than fits; give params.proto instead');
      const file = descriptorOf(bytes);
      found.set(file.name, file);
    }
  };
  const first = await ask({ fileContainingSymbol: service });
  if (first.errorResponse !== undefined) {
    const list = await ask({ listServices: '' });
    throw unknownService(service, (list.listServicesResponse?.service ?? []).map(({ name }) => name).slice(0, 1000));
  }
  take(first);
  const asked = new Set<string>();
  for (;;) {
    const missing = missingImport(found, asked);
    if (missing === undefined) break;
    asked.add(missing);
    take(await ask({ fileByFilename: missing }));
  }
  return build([...found.values()], sizeBytes, 'RESPONSE_INVALID');
}

function missingImport(
  found: ReadonlyMap<string, FileDescriptorProto>,
  asked: ReadonlySet<string>,
): string | undefined {
  for (const file of found.values())
    for (const name of file.dependency) if (!found.has(name) && !asked.has(name) && !isWellKnown(name)) return name;
  return undefined;
}

function descriptorOf(bytes: Uint8Array): FileDescriptorProto {
  try {
    return fromBinary(FileDescriptorProtoSchema, bytes);
  } catch (cause) {
    throw new StepError('RESPONSE_INVALID', 'what the server says of its services is not a file descriptor', { cause });
  }
}

/** One stream, on which each question waits for its answer. */
async function conversation<T>(
  client: Client,
  call: Omit<Call, 'path'>,
  version: string,
  body: (ask: Ask) => Promise<T>,
): Promise<T> {
  const protocolTypes = descriptorsOfTexts(new Map([['reflection.proto', protocol(version)]]));
  const service = `grpc.reflection.${version}.ServerReflection`;
  const { input, output } = methodOf(protocolTypes, { service, method: 'ServerReflectionInfo' });
  let question = Promise.withResolvers<Buffer | undefined>();
  let answer = Promise.withResolvers<Answer>();
  async function* questions(): AsyncGenerator<Buffer> {
    for (;;) {
      const bytes = await question.promise;
      if (bytes === undefined) return;
      question = Promise.withResolvers();
      yield bytes;
    }
  }
  // Rejects always: with the failure, or because the server hung up.
  const over: Promise<never> = streaming(
    client,
    { ...call, path: `/${service}/ServerReflectionInfo` },
    questions(),
    (bytes) => {
      const json = decode(output, bytes, protocolTypes, { defaults: true, protoNames: false });
      answer.resolve((isObject(json) ? json : {}) as Answer);
      return true;
    },
  ).then(() => {
    throw new StepError('RESPONSE_INVALID', 'the server ended the reflection early');
  });
  over.catch(() => undefined);
  const ask: Ask = (request) => {
    answer = Promise.withResolvers<Answer>();
    question.resolve(encode(input, request as { [key: string]: JSONValue }, protocolTypes, []));
    return Promise.race([answer.promise, over]);
  };
  try {
    return await body(ask);
  } finally {
    question.resolve(undefined);
  }
}
