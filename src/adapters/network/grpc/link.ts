import { StepError } from '../../../lib/errors.ts';

// The parts that matter here, of files that were parsed and of files that a server sent.
interface LinkedField {
  name?: string;
  type?: number;
  typeName?: string;
  extendee?: string;
}
interface LinkedMessage {
  name?: string;
  field?: LinkedField[];
  extension?: LinkedField[];
  nestedType?: LinkedMessage[];
  enumType?: { name?: string }[];
}
interface LinkedFile {
  name?: string;
  package?: string;
  messageType?: LinkedMessage[];
  enumType?: { name?: string }[];
  extension?: LinkedField[];
  service?: { method?: { name?: string; inputType?: string; outputType?: string }[] }[];
}

/** Numbers of FieldDescriptorProto.Type. */
const groupType = 10;
const messageType = 11;
const enumType = 14;

/**
 * Resolves the names of types in files, in place: `Item` in `shop.v1.Order` becomes `.shop.v1.Order.Item` or what is next further out.
 * @param known full names of the types that need no file, and whether each is an enum
 * @param code of the error that names a type which is missing
 */
export function link(files: readonly LinkedFile[], known: ReadonlyMap<string, 'message' | 'enum'>, code: string): void {
  const names = new Map(known);
  for (const file of files) collect(file.package ?? '', file.messageType ?? [], file.enumType ?? [], names);
  for (const file of files) new Linker(file, names, code).link();
}

const below = (scope: string, name: string | undefined): string => (scope === '' ? `${name}` : `${scope}.${name}`);

function collect(
  scope: string,
  messages: readonly LinkedMessage[],
  enums: readonly { name?: string }[],
  into: Map<string, 'message' | 'enum'>,
): void {
  for (const one of enums) into.set(below(scope, one.name), 'enum');
  for (const one of messages) {
    const name = below(scope, one.name);
    into.set(name, 'message');
    collect(name, one.nestedType ?? [], one.enumType ?? [], into);
  }
}

class Linker {
  readonly #file: LinkedFile;
  readonly #names: ReadonlyMap<string, 'message' | 'enum'>;

  readonly #code: string;

  constructor(file: LinkedFile, names: ReadonlyMap<string, 'message' | 'enum'>, code: string) {
    this.#code = code;
    this.#file = file;
    this.#names = names;
  }

  link(): void {
    const scope = this.#file.package ?? '';
    for (const message of this.#file.messageType ?? []) this.#message(message, scope);
    for (const extension of this.#file.extension ?? []) this.#field(extension, scope);
    for (const service of this.#file.service ?? [])
      for (const method of service.method ?? []) {
        const where = `rpc ${method.name}`;
        method.inputType = this.#resolve(method.inputType ?? '', scope, where).name;
        method.outputType = this.#resolve(method.outputType ?? '', scope, where).name;
      }
  }

  #message(message: LinkedMessage, outer: string): void {
    const scope = below(outer, message.name);
    for (const field of message.field ?? []) this.#field(field, scope);
    for (const field of message.extension ?? []) this.#field(field, scope);
    for (const nested of message.nestedType ?? []) this.#message(nested, scope);
  }

  #field(field: LinkedField, scope: string): void {
    const where = `${scope}, field ${field.name}`;
    if (field.extendee !== undefined && field.extendee !== '')
      field.extendee = this.#resolve(field.extendee, scope, where).name;
    if (field.typeName === undefined || field.typeName === '') return;
    const { name, kind } = this.#resolve(field.typeName, scope, where);
    field.typeName = name;
    // A group is a message with another encoding.
    if (field.type !== groupType) field.type = kind === 'enum' ? enumType : messageType;
  }

  #resolve(written: string, scope: string, where: string): { name: string; kind: 'message' | 'enum' } {
    const candidates = written.startsWith('.') ? [written.slice(1)] : outwards(scope, written);
    for (const name of candidates) {
      const kind = this.#names.get(name);
      if (kind !== undefined) return { name: `.${name}`, kind };
    }
    throw new StepError(
      this.#code,
      `${this.#file.name}: ${where}: there is no type "${written.slice(0, 200)}"; does an import miss in params.protos?`,
    );
  }
}

/** `x` in the scope `a.b`: `a.b.x`, `a.x`, `x`. */
function outwards(scope: string, name: string): string[] {
  const parts = scope === '' ? [] : scope.split('.');
  return Array.from({ length: parts.length + 1 }, (_, up) => [...parts.slice(0, parts.length - up), name].join('.'));
}
