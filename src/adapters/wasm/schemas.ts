import { fields, flag, object, text, whole } from '../../kit/schema.ts';
import type { JSONObject } from '../../lib/json.ts';
import type { StepTypeManifest } from '../../protocol/messages.ts';

/** Of the params of every step type. */
const moduleParams: Readonly<Record<string, JSONObject>> = {
  module: {
    description:
      'The module: a file in an asset folder (hash.wasm), sha256: and a digest, a URL, { "base64": … }, or bytes that another step stored.',
    anyOf: [
      { type: 'string', minLength: 1, maxLength: 4096 },
      fields({ base64: { type: 'string' } }, ['base64']),
      { type: 'object', properties: { stored: { const: 'bytes' } }, required: ['stored', 'chunks'] },
    ],
  },
  digest: {
    type: 'string',
    pattern: '^(sha256:)?[0-9a-f]{64}$',
    description: 'SHA-256 that the module must have.',
  },
  memory_pages: whole(
    'Pages of 64 KiB that the memory may grow to. Default what ram_mb or the node allows.',
    1,
    65_536,
  ),
  canonical_nan: flag('Gives every NaN one bit pattern, so that all machines agree. Default true; false is faster.'),
};

const abi: JSONObject = {
  enum: ['numeric', 'cstring', 'buffer', 'assemblyscript', 'wasi-command', 'wasi-reactor', 'extism', 'wasm-bindgen'],
  description: 'How values cross. Default what the module shows.',
};

const callParams: Readonly<Record<string, JSONObject>> = {
  ...moduleParams,
  function: text('Name of the exported function. Not for a WASI command.'),
  abi,
  signature: text('Types of the function, such as "f(name: string, n: i32) -> f64".', 4096),
  fuel_limit: whole('Units of work, about one per instruction. Default 10,000,000,000.', 1, Number.MAX_SAFE_INTEGER),
  output: { enum: ['auto', 'json', 'text', 'bytes'], description: 'How bytes that it gives are read. Default auto.' },
  seed: text('What its random numbers follow from. Default the run and the step.'),
  wasi: object('What a WASI program is shown.', {
    args: { type: 'array', maxItems: 1000, items: { type: 'string', maxLength: 65_536 }, description: 'Arguments.' },
    env: {
      type: 'object',
      maxProperties: 1000,
      additionalProperties: { type: 'string', maxLength: 65_536 },
      description: 'Environment variables.',
    },
    stdin: { description: 'Standard input: a text, { "base64": … }, stored bytes, or any value as JSON.' },
    time_ms: whole('What the clock shows at the start, ms since 1970. Default 0.', 0, 8_640_000_000_000_000),
  }),
  config: {
    type: 'object',
    maxProperties: 1000,
    additionalProperties: { type: 'string', maxLength: 65_536 },
    description: 'Configuration of an Extism plug-in.',
  },
};

export const stepTypes: StepTypeManifest[] = [
  {
    type: 'wasm_execute',
    description: 'Calls a function of a WebAssembly module in a sandbox.',
    deterministic: true,
    asset_params: ['module'],
    params_schema: fields(
      {
        ...callParams,
        args: { type: ['object', 'array'], description: 'Arguments, by name or in order.' },
        input: { description: 'The one argument: any value; { "base64": … } and stored bytes are given as bytes.' },
      },
      ['module'],
    ),
  },
  {
    type: 'wasm_load',
    description: 'Checks and compiles a module ahead of its use, and says what it has.',
    deterministic: true,
    asset_params: ['module'],
    params_schema: fields(moduleParams, ['module']),
  },
  {
    type: 'wasm_streaming',
    description: 'Sends many items, or large bytes in chunks, through one instance of a module.',
    deterministic: true,
    asset_params: ['module'],
    params_schema: fields(
      {
        ...callParams,
        input: {
          description: 'A list, stored rows (an item each), stored bytes, { "base64": … } or a text (in chunks).',
        },
        chunk_bytes: whole('Size of the chunks of bytes. Default 65,536.', 1, 16 * 1024 * 1024),
        fuel_per_item: whole('Units of work that one item may take.', 1, Number.MAX_SAFE_INTEGER),
        finish: text('Function called at the end for what is left.'),
      },
      ['module', 'input'],
    ),
  },
];
