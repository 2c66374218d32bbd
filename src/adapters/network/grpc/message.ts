import {
  type DescField,
  type DescMessage,
  fromBinary,
  fromJson,
  ScalarType,
  toBinary,
  toJson,
} from '@bufbuild/protobuf';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { isObject, type JSONValue } from '../../../lib/json.ts';
import { formatPath, type JSONPath } from '../../../lib/json-path.ts';
import { closest } from '../../../lib/suggest.ts';
import type { Descriptors } from './descriptors.ts';

/** Messages within messages, as the library allows them. */
const depthMax = 100;

export interface JsonOptions {
  /** Whether fields with their default value stand in the JSON. */
  defaults: boolean;
  /** Names as in the .proto file instead of lowerCamelCase. */
  protoNames: boolean;
}

/**
 * The wire form of a request message.
 * @param path where the message stands in params, for errors
 * @throws StepError INVALID_PARAMS that names the field
 */
export function encode(type: DescMessage, json: JSONValue, { registry }: Descriptors, path: JSONPath): Buffer {
  try {
    const bytes = toBinary(type, fromJson(type, json, { registry }));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  } catch (thrown) {
    // The library's own text quotes values, which may be secrets.
    const what = problem(type, json, path, (part) => fromJson(type, part, { registry })) ?? 'does not fit';
    throw new StepError(
      'INVALID_PARAMS',
      what.startsWith('params') ? what : `${formatPath(path, 'params')} ${what} ${type.typeName}`,
      {
        cause: thrown,
      },
    );
  }
}

/** @throws StepError RESPONSE_INVALID */
export function decode(
  type: DescMessage,
  bytes: Uint8Array,
  { registry }: Descriptors,
  options: JsonOptions,
): JSONValue {
  try {
    return toJson(type, fromBinary(type, bytes, { readUnknownFields: false }), {
      registry,
      alwaysEmitImplicit: options.defaults,
      useProtoFieldName: options.protoNames,
    }) as JSONValue;
  } catch (thrown) {
    throw new StepError(
      'RESPONSE_INVALID',
      `the answer is not a ${type.typeName}: ${messageOf(thrown).slice(0, 200)}`,
      {
        cause: thrown,
      },
    );
  }
}

/** Finds what is wrong with JSON that was refused, one field after the other. */
function problem(
  type: DescMessage,
  json: JSONValue,
  path: JSONPath,
  attempt: (json: JSONValue) => unknown,
): string | undefined {
  if (path.length > depthMax) return 'params.message is nested too deeply';
  const at = formatPath(path, 'params');
  if (type.typeName.startsWith('google.protobuf.') && type.typeName !== 'google.protobuf.Empty') {
    return fails(attempt, json) ? `${at} is not the JSON form of a ${type.typeName}` : undefined;
  }
  if (!isObject(json)) return `${at} must be an object, the JSON form of ${type.typeName}`;
  for (const [key, value] of Object.entries(json) as [string, JSONValue][]) {
    const field = type.fields.find(({ name, jsonName }) => name === key || jsonName === key);
    if (field === undefined) {
      if (key.startsWith('[')) continue;
      const meant = closest(
        key,
        type.fields.flatMap(({ name, jsonName }) => [name, jsonName]),
      );
      return `${formatPath([...path, key], 'params')} is no field of ${type.typeName}${meant === undefined ? '' : `; did you mean "${meant}"?`}`;
    }
    if (!fails(attempt, { [key]: value })) continue;
    return insideField(field, value, [...path, key]);
  }
  // Each field is right alone: two of them exclude each other.
  const oneof = type.oneofs.find(
    ({ fields }) => fields.filter(({ name, jsonName }) => name in json || jsonName in json).length > 1,
  );
  if (oneof !== undefined)
    return `${at} may have only one of ${oneof.fields.map(({ jsonName }) => jsonName).join(', ')}`;
  return `${at} is not the JSON form of ${type.typeName}`;
}

const fails = (attempt: (json: JSONValue) => unknown, json: JSONValue): boolean => {
  try {
    attempt(json);
    return false;
  } catch {
    return true;
  }
};

function insideField(field: DescField, value: JSONValue, path: JSONPath): string {
  const { message } = field;
  const parts: [JSONPath, JSONValue][] =
    field.fieldKind === 'list' && Array.isArray(value)
      ? value.map((element, index) => [[...path, index], element])
      : field.fieldKind === 'map' && isObject(value)
        ? Object.entries(value).map(([key, element]) => [[...path, key], element as JSONValue])
        : [[path, value]];
  const single = field.fieldKind === 'message';
  if (message !== undefined && (single || parts.length !== 1 || parts[0]?.[0] !== path))
    for (const [at, part] of parts) {
      const attempt = (json: JSONValue) => fromJson(message, json);
      if (!fails(attempt, part)) continue;
      const found = problem(message, part, at, attempt);
      if (found !== undefined) return found;
    }
  return `${formatPath(path, 'params')} must be ${expected(field)}`;
}

const scalarForms: Readonly<Record<number, string>> = {
  [ScalarType.DOUBLE]: 'a number',
  [ScalarType.FLOAT]: 'a number in the range of a float',
  [ScalarType.BOOL]: 'true or false',
  [ScalarType.STRING]: 'a text',
  [ScalarType.BYTES]: 'bytes in base64',
  [ScalarType.INT64]: 'a whole number of 64 bits, best as text',
  [ScalarType.SINT64]: 'a whole number of 64 bits, best as text',
  [ScalarType.SFIXED64]: 'a whole number of 64 bits, best as text',
  [ScalarType.UINT64]: 'a whole number of 64 bits from 0, best as text',
  [ScalarType.FIXED64]: 'a whole number of 64 bits from 0, best as text',
  [ScalarType.UINT32]: 'a whole number of 32 bits from 0',
  [ScalarType.FIXED32]: 'a whole number of 32 bits from 0',
};

function expected(field: DescField): string {
  const one =
    field.enum !== undefined
      ? `one of ${field.enum.values
          .slice(0, 20)
          .map(({ name }) => name)
          .join(', ')}${field.enum.values.length > 20 ? ', …' : ''}`
      : field.message !== undefined
        ? `the JSON form of ${field.message.typeName}`
        : (scalarForms[field.scalar ?? 0] ?? 'a whole number of 32 bits');
  if (field.fieldKind === 'list') return `a list, each element ${one}`;
  return field.fieldKind === 'map' ? `an object, each value ${one}` : one;
}
