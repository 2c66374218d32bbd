import {
  create,
  createFileRegistry,
  type DescFile,
  type DescMethod,
  type DescService,
  type FileRegistry,
} from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_any,
  file_google_protobuf_api,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_source_context,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_type,
  file_google_protobuf_wrappers,
} from '@bufbuild/protobuf/wkt';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { closest } from '../../../lib/suggest.ts';
import { link } from './link.ts';
import { parseProto } from './proto.ts';

/** What a server or a workflow may have described, at most. */
export const descriptorLimits = {
  textBytes: 1024 * 1024,
  binaryBytes: 4 * 1024 * 1024,
  files: 500,
  types: 10_000,
  fields: 100_000,
};

const googlePackage = 'google.protobuf';

const wellKnown: ReadonlyMap<string, FileDescriptorProto> = new Map(
  [
    file_google_protobuf_any,
    file_google_protobuf_source_context,
    file_google_protobuf_type,
    file_google_protobuf_api,
    file_google_protobuf_descriptor,
    file_google_protobuf_duration,
    file_google_protobuf_empty,
    file_google_protobuf_field_mask,
    file_google_protobuf_struct,
    file_google_protobuf_timestamp,
    file_google_protobuf_wrappers,
  ].map((file: DescFile) => [file.proto.name, file.proto]),
);

/** Whether a file is one of Google's that come with every compiler: those are always taken from here, never from a server. */
export const isWellKnown = (file: string): boolean => wellKnown.has(file);

/** Types and services of one server. */
export interface Descriptors {
  registry: FileRegistry;
  /** Bytes that they came from. */
  sizeBytes: number;
}

/**
 * Descriptors out of the texts of .proto files.
 * @param protos texts by the names under which they import each other
 * @throws StepError INVALID_PARAMS
 */
export function descriptorsOfTexts(protos: ReadonlyMap<string, string>): Descriptors {
  const sizeBytes = [...protos.values()].reduce((sum, text) => sum + text.length, 0);
  if (sizeBytes > descriptorLimits.textBytes)
    throw new StepError('INVALID_PARAMS', `the .proto texts are longer than ${descriptorLimits.textBytes} characters`);
  const files = [...protos].filter(([name]) => !isWellKnown(name)).map(([name, text]) => parseProto(text, name));
  const missing = files.flatMap((file) => (file.dependency ?? []).map((name) => ({ name, by: file.name })));
  for (const { name, by } of missing)
    if (!isWellKnown(name) && !protos.has(name))
      throw new StepError('INVALID_PARAMS', `${by} imports "${name}", which params.protos does not have`);
  return build(
    files.map((file) => create(FileDescriptorProtoSchema, file)),
    sizeBytes,
    'INVALID_PARAMS',
  );
}

function wellKnownTypes(): Map<string, 'message' | 'enum'> {
  const names = new Map<string, 'message' | 'enum'>();
  const add = (scope: string, messages: readonly DescriptorProto[], enums: readonly { name: string }[]): void => {
    for (const { name } of enums) names.set(`${scope}.${name}`, 'enum');
    for (const message of messages) {
      names.set(`${scope}.${message.name}`, 'message');
      add(`${scope}.${message.name}`, message.nestedType, message.enumType);
    }
  };
  for (const file of wellKnown.values()) add(file.package, file.messageType, file.enumType);
  return names;
}

/**
 * Descriptors out of files as compilers make them.
 * @param code of the error where they are not sound
 */
export function build(files: readonly FileDescriptorProto[], sizeBytes: number, code: string): Descriptors {
  // A server may have Google's files under other names.
  const own = files.filter((file) => !isWellKnown(file.name) && file.package !== googlePackage);
  const googles = new Set(files.filter((file) => file.package === googlePackage).map((file) => file.name));
  for (const file of own) file.dependency = file.dependency.filter((name) => isWellKnown(name) || !googles.has(name));
  const fail = (problem: string): StepError => new StepError(code, `the description of the service: ${problem}`);
  if (own.length > descriptorLimits.files) throw fail(`more than ${descriptorLimits.files} files`);
  try {
    const counts = { types: 0, fields: 0 };
    for (const file of own) for (const message of file.messageType) checkMessage(message, counts);
    if (counts.types > descriptorLimits.types) throw new Error(`more than ${descriptorLimits.types} types`);
    if (counts.fields > descriptorLimits.fields) throw new Error(`more than ${descriptorLimits.fields} fields`);
    for (const file of own) file.enumType.forEach(checkEnum);
    link(own, wellKnownTypes(), code);
    const file = inOrder([...wellKnown.values(), ...own]);
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file }));
    checkReserved(registry);
    return { registry, sizeBytes };
  } catch (thrown) {
    throw thrown instanceof StepError ? thrown : fail(messageOf(thrown).slice(0, 300));
  }
}

const fieldNumberMax = 536_870_911;

/** What a compiler would have refused, but a descriptor made by hand may have. */
function checkMessage(message: DescriptorProto, counts: { types: number; fields: number }): void {
  counts.types += 1;
  counts.fields += message.field.length;
  const seen = new Set<string | number>();
  for (const field of message.field) {
    if (field.jsonName === '') field.jsonName = jsonNameOf(field.name);
    const { number } = field;
    const reserved = number >= 19_000 && number <= 19_999;
    if (number < 1 || number > fieldNumberMax || reserved)
      throw new Error(`${message.name}.${field.name} can't have the number ${number}`);
    for (const key of [number, field.name])
      if (seen.has(key)) throw new Error(`${message.name} has ${JSON.stringify(key)} twice`);
      else seen.add(key);
  }
  message.enumType.forEach(checkEnum);
  for (const nested of message.nestedType) checkMessage(nested, counts);
}

function checkEnum({ name, value }: { name: string; value: readonly unknown[] }): void {
  if (value.length === 0) throw new Error(`the enum ${name} has no value`);
}

/** lowerCamelCase, as compilers derive it. */
const jsonNameOf = (name: string): string => name.replace(/_+(.?)/g, (_, letter: string) => letter.toUpperCase());

/** Files after those that they import. */
function inOrder(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const done = new Set<string>();
  const ordered: FileDescriptorProto[] = [];
  const visit = (file: FileDescriptorProto, path: ReadonlySet<string>): void => {
    if (done.has(file.name)) return;
    if (path.has(file.name)) throw new Error(`${file.name} imports itself`);
    const inside = new Set(path).add(file.name);
    for (const name of file.dependency) {
      const dependency = byName.get(name);
      if (dependency === undefined) throw new Error(`${file.name} imports "${name}", which is missing`);
      visit(dependency, inside);
    }
    done.add(file.name);
    ordered.push(file);
  };
  for (const file of byName.values()) visit(file, new Set());
  return ordered;
}

/** The JSON forms of Google's types rely on their fields, so nobody else may define them. */
function checkReserved(registry: FileRegistry): void {
  for (const type of registry)
    if (type.typeName.startsWith('google.protobuf.') && !isWellKnown(type.file.proto.name))
      throw new Error(`${type.file.proto.name} defines ${type.typeName}, which is Google's`);
}

/**
 * @param path as `package.Service/Method`
 * @throws StepError INVALID_PARAMS, with the name that may have been meant
 */
export function methodOf(
  { registry }: Descriptors,
  { service, method }: { service: string; method: string },
): DescMethod {
  const found = registry.getService(service);
  if (found === undefined) {
    const names = [...registry].filter((one) => one.kind === 'service').map((one) => one.typeName);
    throw unknownService(service, names);
  }
  const rpc = found.methods.find(({ name }) => name === method);
  if (rpc !== undefined) return rpc;
  throw new StepError(
    'INVALID_PARAMS',
    `params.method: ${service} has no method "${method}"${hint(method, namesOf(found))}`,
  );
}

const namesOf = (service: DescService): string[] => service.methods.map(({ name }) => name);

/** @param names of the services that there are */
export const unknownService = (service: string, names: readonly string[]): StepError =>
  new StepError('INVALID_PARAMS', `params.service: there is no service "${service}"${hint(service, names)}`);

function hint(word: string, names: readonly string[]): string {
  const short = word.slice(word.lastIndexOf('.') + 1);
  const meant =
    closest(word, names) ??
    names.find((name) => name.slice(name.lastIndexOf('.') + 1).toLowerCase() === short.toLowerCase());
  if (meant !== undefined) return `; did you mean "${meant}"?`;
  return names.length === 0 ? '' : `; there are ${names.slice(0, 10).join(', ')}${names.length > 10 ? ', …' : ''}`;
}
