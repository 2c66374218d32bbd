import type { DescMessage, Message, MessageInitShape } from '@bufbuild/protobuf';
import type {
  DescriptorProtoSchema,
  EnumDescriptorProtoSchema,
  FeatureSetSchema,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  MethodDescriptorProtoSchema,
  ServiceDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';
import { isPlain, type Options, type OptionValue, options as readOptions } from './proto-options.ts';
import { TokenReader } from './tokens.ts';

type FileInit = Init<typeof FileDescriptorProtoSchema>;
type MessageInit = Init<typeof DescriptorProtoSchema>;
type FieldInit = Init<typeof FieldDescriptorProtoSchema>;
type EnumInit = Init<typeof EnumDescriptorProtoSchema>;
type ServiceInit = Init<typeof ServiceDescriptorProtoSchema>;
type MethodInit = Init<typeof MethodDescriptorProtoSchema>;
type FeatureInit = Init<typeof FeatureSetSchema>;
type Init<S extends DescMessage> = Exclude<MessageInitShape<S>, Message>;

/** Numbers of FieldDescriptorProto.Type. */
const scalarTypes: ReadonlyMap<string, number> = new Map([
  ['double', 1],
  ['float', 2],
  ['int64', 3],
  ['uint64', 4],
  ['int32', 5],
  ['fixed64', 6],
  ['fixed32', 7],
  ['bool', 8],
  ['string', 9],
  ['bytes', 12],
  ['uint32', 13],
  ['sfixed32', 15],
  ['sfixed64', 16],
  ['sint32', 17],
  ['sint64', 18],
]);
const labels: ReadonlyMap<string, number> = new Map([
  ['optional', 1],
  ['required', 2],
  ['repeated', 3],
]);
const nestingMax = 32;

/**
 * Reads one .proto file (proto2, proto3 or edition 2023) into the form that compilers hand on. Names of types stay as written, with
 * `type` 0: `link` resolves them. Custom options are read over, groups are refused.
 * @throws StepError INVALID_PARAMS, with the line
 */
export function parseProto(text: string, name: string): FileInit {
  return new ProtoParser(text, name).file();
}

class ProtoParser {
  readonly #in: TokenReader;
  readonly #file: FileInit & { messageType: MessageInit[]; enumType: EnumInit[]; extension: FieldInit[] };
  #proto3 = false;

  constructor(text: string, name: string) {
    this.#in = new TokenReader(text, name);
    this.#file = { name, syntax: 'proto2', messageType: [], enumType: [], extension: [] };
  }

  file(): FileInit {
    const dependency: string[] = [];
    const publicDependency: number[] = [];
    const service: ServiceInit[] = [];
    const options: Options = new Map();
    while (this.#in.current.kind !== 'end') {
      if (this.#in.accept(';')) continue;
      const token = this.#in.current;
      const word = this.#in.name();
      if (word === 'syntax' || word === 'edition') this.#syntax(word);
      else if (word === 'package') {
        this.#file.package = this.#in.path();
        this.#in.expect(';');
      } else if (word === 'import') {
        if (this.#in.accept('public')) publicDependency.push(dependency.length);
        else this.#in.accept('weak');
        dependency.push(this.#in.text());
        this.#in.expect(';');
      } else if (word === 'service') service.push(this.#service());
      else if (word === 'option') readOptions.statement(this.#in, options);
      else if (!this.#type(word, this.#file.messageType, this.#file.enumType, this.#file.extension, 0))
        throw this.#in.error('a .proto file has no such statement:', token);
    }
    return { ...this.#file, dependency, publicDependency, service, options: featured(options) };
  }

  #syntax(word: 'syntax' | 'edition'): void {
    this.#in.expect('=');
    const token = this.#in.current;
    const value = this.#in.text();
    this.#in.expect(';');
    if (word === 'edition' && value === '2023') {
      this.#file.syntax = 'editions';
      this.#file.edition = 1000;
    } else if (word === 'syntax' && (value === 'proto2' || value === 'proto3')) {
      this.#file.syntax = value;
      this.#proto3 = value === 'proto3';
    } else throw this.#in.error('proto2, proto3 and edition 2023 are read, but not', token);
  }

  /** @returns false where the word begins no message, enum or extension */
  #type(word: string, messages: MessageInit[], enums: EnumInit[], extensions: FieldInit[], depth: number): boolean {
    if (word === 'message') messages.push(this.#message(depth));
    else if (word === 'enum') enums.push(this.#enum());
    else if (word === 'extend') this.#extend(extensions);
    else return false;
    return true;
  }

  #message(depth: number): MessageInit {
    if (depth >= nestingMax) throw this.#in.error(`messages are nested deeper than ${nestingMax} at`);
    const parts = {
      field: [] as FieldInit[],
      nestedType: [] as MessageInit[],
      enumType: [] as EnumInit[],
      extension: [] as FieldInit[],
      oneofDecl: [] as { name: string }[],
    };
    const options: Options = new Map();
    const name = this.#in.name();
    this.#in.expect('{');
    while (!this.#in.accept('}')) {
      if (this.#in.accept(';')) continue;
      const { text: word } = this.#in.current;
      if (this.#in.accept('option')) readOptions.statement(this.#in, options);
      else if (word === 'extensions' || word === 'reserved') this.#skip();
      else if (this.#in.accept('oneof')) this.#oneof(parts);
      else if (word === 'message' || word === 'enum' || word === 'extend') {
        this.#in.next();
        this.#type(word, parts.nestedType, parts.enumType, parts.extension, depth + 1);
      } else parts.field.push(this.#field(parts, undefined));
    }
    this.#synthesize(parts);
    return { name, ...parts, options: featured(options) };
  }

  #skip(): void {
    while (!this.#in.accept(';')) {
      if (this.#in.current.kind === 'end') throw this.#in.error('";" is missing before');
      this.#in.next();
    }
  }

  #oneof(parts: { field: FieldInit[]; nestedType: MessageInit[]; oneofDecl: { name: string }[] }): void {
    const index = parts.oneofDecl.length;
    parts.oneofDecl.push({ name: this.#in.name() });
    this.#in.expect('{');
    while (!this.#in.accept('}')) {
      if (this.#in.accept(';')) continue;
      if (this.#in.accept('option')) readOptions.statement(this.#in, new Map());
      else parts.field.push(this.#field(parts, index));
    }
  }

  /** A field that is `optional` in proto3 has a oneof of its own, which stands after those that were written. */
  #synthesize(parts: { field: FieldInit[]; oneofDecl: { name: string }[] }): void {
    for (const field of parts.field) {
      if (field.proto3Optional !== true) continue;
      field.oneofIndex = parts.oneofDecl.length;
      parts.oneofDecl.push({ name: `_${field.name}` });
    }
  }

  #field(parts: { nestedType: MessageInit[] }, oneofIndex: number | undefined): FieldInit {
    const label = labels.get(this.#in.current.text);
    if (label !== undefined) this.#in.next();
    const proto3Optional = this.#proto3 && label === 1;
    if (this.#in.current.text === 'group') throw this.#in.error('groups are not supported; write a message instead of');
    if (this.#in.current.text === 'map' && this.#in.following?.text === '<') return this.#map(parts);
    const type = this.#typeName();
    return {
      ...type,
      label: label ?? 1,
      ...(oneofIndex === undefined ? {} : { oneofIndex }),
      ...(proto3Optional ? { proto3Optional } : {}),
      ...this.#named(),
    };
  }

  #typeName(): FieldInit {
    const name = this.#in.path();
    const type = scalarTypes.get(name);
    return type === undefined ? { type: 0 as never, typeName: name } : { type };
  }

  /** `name = number [options];` */
  #named(): FieldInit & { name: string } {
    const name = this.#in.name();
    this.#in.expect('=');
    const number = this.#in.integer();
    const options = readOptions.list(this.#in);
    this.#in.expect(';');
    const jsonName = options.get('json_name');
    const defaultValue = options.get('default');
    const packed = options.get('packed');
    return {
      name,
      number,
      ...(isPlain(jsonName) ? { jsonName: jsonName.text } : {}),
      ...(isPlain(defaultValue) ? { defaultValue: defaultValue.text } : {}),
      options: { ...featured(options), ...(isPlain(packed) ? { packed: packed.text === 'true' } : {}) },
    };
  }

  #map(parts: { nestedType: MessageInit[] }): FieldInit {
    this.#in.next();
    this.#in.expect('<');
    const key = { ...this.#typeName(), name: 'key', number: 1, label: 1 };
    this.#in.expect(',');
    const value = { ...this.#typeName(), name: 'value', number: 2, label: 1 };
    this.#in.expect('>');
    const named = this.#named();
    const entry = `${named.name.replace(/(?:^|_)([a-z0-9])/g, (_, first: string) => first.toUpperCase())}Entry`;
    parts.nestedType.push({ name: entry, field: [key, value], options: { mapEntry: true } });
    return { ...named, label: 3, type: 0 as never, typeName: entry };
  }

  #enum(): EnumInit {
    const name = this.#in.name();
    const value: { name: string; number: number }[] = [];
    const options: Options = new Map();
    this.#in.expect('{');
    while (!this.#in.accept('}')) {
      if (this.#in.accept(';')) continue;
      if (this.#in.accept('option')) readOptions.statement(this.#in, options);
      else if (this.#in.current.text === 'reserved') this.#skip();
      else {
        const valueName = this.#in.name();
        this.#in.expect('=');
        value.push({ name: valueName, number: this.#in.integer() });
        readOptions.list(this.#in);
        this.#in.expect(';');
      }
    }
    const alias = options.get('allow_alias');
    return { name, value, options: { ...featured(options), allowAlias: isPlain(alias) && alias.text === 'true' } };
  }

  #extend(extensions: FieldInit[]): void {
    const extendee = this.#in.path();
    this.#in.expect('{');
    while (!this.#in.accept('}'))
      if (!this.#in.accept(';')) {
        const { proto3Optional: _, ...field } = this.#field({ nestedType: [] }, undefined);
        extensions.push({ ...field, extendee });
      }
  }

  #service(): ServiceInit {
    const name = this.#in.name();
    const method: MethodInit[] = [];
    this.#in.expect('{');
    while (!this.#in.accept('}')) {
      if (this.#in.accept(';')) continue;
      if (this.#in.accept('option')) readOptions.statement(this.#in, new Map());
      else {
        this.#in.expect('rpc');
        method.push(this.#method());
      }
    }
    return { name, method };
  }

  #method(): MethodInit {
    const name = this.#in.name();
    const input = this.#endpoint();
    this.#in.expect('returns');
    const output = this.#endpoint();
    const options: Options = new Map();
    if (this.#in.accept('{')) {
      while (!this.#in.accept('}'))
        if (!this.#in.accept(';')) {
          this.#in.expect('option');
          readOptions.statement(this.#in, options);
        }
    } else this.#in.expect(';');
    const level = options.get('idempotency_level');
    const idempotencyLevel = isPlain(level) ? (idempotencyLevels.get(level.text) ?? 0) : 0;
    return {
      name,
      inputType: input.type,
      outputType: output.type,
      clientStreaming: input.stream,
      serverStreaming: output.stream,
      options: { idempotencyLevel },
    };
  }

  #endpoint(): { type: string; stream: boolean } {
    this.#in.expect('(');
    // A message may be called `stream`.
    const stream = this.#in.following?.text !== ')' && this.#in.following?.text !== '.' && this.#in.accept('stream');
    const type = this.#in.path();
    this.#in.expect(')');
    return { type, stream };
  }
}

const idempotencyLevels: ReadonlyMap<string, number> = new Map([
  ['NO_SIDE_EFFECTS', 1],
  ['IDEMPOTENT', 2],
]);

const featureNames = {
  field_presence: ['fieldPresence', { EXPLICIT: 1, IMPLICIT: 2, LEGACY_REQUIRED: 3 }],
  enum_type: ['enumType', { OPEN: 1, CLOSED: 2 }],
  repeated_field_encoding: ['repeatedFieldEncoding', { PACKED: 1, EXPANDED: 2 }],
  utf8_validation: ['utf8Validation', { VERIFY: 2, NONE: 3 }],
  message_encoding: ['messageEncoding', { LENGTH_PREFIXED: 1, DELIMITED: 2 }],
} as const;

/** The features of editions: they decide how a message is encoded. */
function featured(options: ReadonlyMap<string, OptionValue>): { features?: FeatureInit } {
  const features: FeatureInit = {};
  for (const [name, [property, values]] of Object.entries(featureNames)) {
    const value = options.get(`features.${name}`);
    if (!isPlain(value)) continue;
    const number = Object.entries(values).find(([text]) => text === value.text)?.[1];
    if (number !== undefined) Object.assign(features, { [property]: number });
  }
  return Object.keys(features).length === 0 ? {} : { features };
}
