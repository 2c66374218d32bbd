import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceClientConstructor,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { isObject } from '../../src/lib/json.ts';
import type { Certificate } from './certificates.ts';

/** A real gRPC server on a free port of loopback, whose messages another library (protobufjs) reads and writes. */
export interface GrpcServer {
  port: number;
  server: Server;
  close(): Promise<void>;
}

export interface GrpcServerOptions {
  /** Text of the .proto file. */
  proto: string;
  /** Handlers by the full name of their service. */
  services: Record<string, UntypedServiceImplementation>;
  /** Versions of the reflection protocol to serve. */
  reflection?: ('v1' | 'v1alpha')[];
  /** The FileDescriptorSet that reflection serves. Default: what protobufjs makes of the text, as servers on Node do. */
  descriptors?: Uint8Array;
  tls?: Certificate & { clientCa?: string };
  port?: number;
}

const loaderOptions = { keepCase: true, longs: String, enums: String, oneofs: true, defaults: false } as const;

/** Loads the text of a .proto file with protobufjs. */
export function loadProto(text: string): PackageDefinition {
  const dir = mkdtempSync(join(tmpdir(), 'jsonflow-proto-'));
  try {
    writeFileSync(join(dir, 'served.proto'), text);
    return loadSync('served.proto', { ...loaderOptions, includeDirs: [dir] });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { proto, services, reflection = [], tls, port = 0 } = options;
  const server = new Server();
  const definition = loadProto(proto);
  for (const [name, handlers] of Object.entries(services))
    server.addService(constructorOf(definition, name).service, handlers);
  const files = options.descriptors === undefined ? filesOf(definition) : filesOfSet(options.descriptors);
  for (const version of reflection) addReflection(server, version, files, Object.keys(services));
  const credentials =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(
          tls.clientCa === undefined ? null : Buffer.from(tls.clientCa),
          [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }],
          tls.clientCa !== undefined,
        );
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, found) =>
      error === null ? resolve(found) : reject(error),
    ),
  );
  return {
    port: bound,
    server,
    close: async () => server.forceShutdown(),
  };
}

function constructorOf(definition: PackageDefinition, name: string): ServiceClientConstructor {
  let found: unknown = loadPackageDefinition(definition);
  for (const part of name.split('.'))
    found = isObject(found) || typeof found === 'function' ? Reflect.get(found, part) : undefined;
  return found as ServiceClientConstructor;
}

const reflectionProto = (version: string): string => `syntax = "proto3";
package grpc.reflection.${version};
service ServerReflection { rpc ServerReflectionInfo(stream ServerReflectionRequest) returns (stream ServerReflectionResponse); }
message ServerReflectionRequest {
  string host = 1;
  oneof message_request {
    string file_by_filename = 3; string file_containing_symbol = 4; ExtensionRequest file_containing_extension = 5;
    string all_extension_numbers_of_type = 6; string list_services = 7;
  }
}
message ExtensionRequest { string containing_type = 1; int32 extension_number = 2; }
message ServerReflectionResponse {
  string valid_host = 1;
  ServerReflectionRequest original_request = 2;
  oneof message_response {
    FileDescriptorResponse file_descriptor_response = 4; ListServiceResponse list_services_response = 6; ErrorResponse error_response = 7;
  }
}
message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
message ListServiceResponse { repeated ServiceResponse service = 1; }
message ServiceResponse { string name = 1; }
message ErrorResponse { int32 error_code = 1; string error_message = 2; }
`;

interface Question {
  file_by_filename?: string;
  file_containing_symbol?: string;
  list_services?: string;
}

interface File {
  name: string;
  package: string;
  service: { name: string }[];
}

const filesOfSet = (bytes: Uint8Array): Buffer[] =>
  (descriptor.FileDescriptorSet.decode(bytes) as unknown as { file: [] }).file.map((file) =>
    Buffer.from(descriptor.FileDescriptorProto.encode(file).finish()),
  );

const filesOf = (definition: PackageDefinition): Buffer[] =>
  Object.values(definition).flatMap((part) =>
    'fileDescriptorProtos' in part ? (part.fileDescriptorProtos as Buffer[]) : [],
  );

/** The reflection protocol: one file for each answer, so that a client has to ask for what it imports. */
function addReflection(server: Server, version: string, descriptors: Buffer[], services: string[]): void {
  const files = new Map<string, Buffer>();
  const bySymbol = new Map<string, string>();
  for (const bytes of descriptors) {
    const file = descriptor.FileDescriptorProto.decode(bytes) as unknown as File;
    files.set(file.name, bytes);
    for (const { name } of file.service) bySymbol.set(`${file.package}.${name}`, file.name);
  }
  const name = `grpc.reflection.${version}.ServerReflection`;
  server.addService(constructorOf(loadProto(reflectionProto(version)), name).service, {
    ServerReflectionInfo(call: ServerDuplexStream<Question, unknown>) {
      call.on('data', (question: Question) => {
        const { file_by_filename, file_containing_symbol, list_services } = question;
        if (list_services !== undefined)
          return call.write({ list_services_response: { service: services.map((one) => ({ name: one })) } });
        const file = files.get(file_by_filename ?? bySymbol.get(file_containing_symbol ?? '') ?? '');
        if (file === undefined) call.write({ error_response: { error_code: 5, error_message: 'not found' } });
        else call.write({ file_descriptor_response: { file_descriptor_proto: [file] } });
      });
      call.on('end', () => call.end());
    },
  });
}
