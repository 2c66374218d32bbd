import type { JSONObject } from '../../../lib/json.ts';
import type { StepTypeManifest } from '../../../protocol/messages.ts';
import { dtypes } from '../tensor/dtype.ts';
import { tensorForms } from '../tensor/to-json.ts';

const lengths = (description: string): JSONObject => ({
  description,
  anyOf: [
    { type: 'integer', minimum: 1, maximum: 2 ** 31 - 1 },
    { type: 'array', minItems: 1, maxItems: 3, items: { type: 'integer', minimum: 1, maximum: 2 ** 31 - 1 } },
  ],
});

const name: JSONObject = { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$' };
const dtype: JSONObject = { enum: dtypes.filter((type) => type !== 'string') };

const scalar: JSONObject = {
  type: 'object',
  properties: { type: dtype, value: { type: ['number', 'string', 'boolean'] } },
  required: ['type', 'value'],
  additionalProperties: false,
};

const local: JSONObject = {
  type: 'object',
  properties: { type: dtype, local: { type: 'integer', minimum: 1, maximum: 2 ** 31 - 1 } },
  required: ['type', 'local'],
  additionalProperties: false,
};

const buffer: JSONObject = {
  type: 'object',
  properties: {
    name,
    type: dtype,
    data: { description: 'Numbers, { "base64": … }, bytes that another step stored, or a tensor.' },
    size: { type: 'integer', minimum: 0, description: 'Number of elements, zero at first; instead of data.' },
    shape: { type: 'array', items: { type: 'integer', minimum: 0 }, maxItems: 16, description: 'Of the output.' },
    output: { type: 'boolean', description: 'Whether the output has it. Default false.' },
    form: { enum: [...tensorForms], description: 'How the output holds it. Default list.' },
  },
  required: ['name', 'type'],
  additionalProperties: false,
};

const launchParams: JSONObject = {
  entry: {
    type: 'string',
    maxLength: 256,
    pattern: '^[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)*(<[A-Za-z0-9_ ,:*]+>)?$',
    description: 'Name of the kernel. Default the only one. Of a template in CUDA C++ with its arguments: add<float>.',
  },
  grid: lengths('Groups along up to three axes.'),
  block: lengths('Work items of a group along these axes. Not for WGSL, whose source says it.'),
  global: lengths('Instead of grid: all work items along the axes.'),
  local: lengths('As block. Default: the driver chooses (OpenCL).'),
  shared_bytes: { type: 'integer', minimum: 0, maximum: 1024 * 1024, description: 'Dynamic shared memory of a group.' },
};

export const gpuComputeType: StepTypeManifest = {
  type: 'gpu_compute',
  description: 'Runs kernels in CUDA C++, OpenCL C or WGSL over buffers that stay on the device between launches.',
  params_schema: {
    type: 'object',
    properties: {
      language: { enum: ['cuda', 'opencl', 'wgsl'] },
      source: { type: 'string', minLength: 1, maxLength: 1024 * 1024, description: 'Source text of the kernels.' },
      defines: {
        type: 'object',
        maxProperties: 100,
        propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_]{0,127}$' },
        additionalProperties: { type: ['number', 'string'], pattern: '^[A-Za-z0-9_.+-]{1,64}$' },
        description: 'Macros for the compiler. Not for WGSL.',
      },
      device: {
        type: 'string',
        maxLength: 64,
        description: 'Id of a device, such as cuda:0; its kind, such as cuda; gpu or cpu. Default a GPU where the step reserves one, or a processor.',
      },
      ...launchParams,
      arguments: {
        type: 'array',
        maxItems: 64,
        items: { anyOf: [buffer, scalar, local] },
        description:
          'Arguments of the kernel in order: buffers, scalars { type, value }, and of OpenCL memory of a group { type, local: elements }.',
      },
      launches: {
        type: 'array',
        minItems: 1,
        maxItems: 10_000,
        description: 'Several launches, one after the other. What one leaves out is that of the step.',
        items: {
          type: 'object',
          properties: {
            ...launchParams,
            arguments: {
              type: 'array',
              maxItems: 64,
              items: { anyOf: [{ ...name, description: 'Name of a buffer.' }, scalar, local] },
            },
          },
          additionalProperties: false,
        },
      },
    },
    required: ['language', 'source', 'arguments'],
    additionalProperties: false,
  },
};
