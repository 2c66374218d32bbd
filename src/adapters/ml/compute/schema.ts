import { fields, flag, text, whole } from '../../../kit/schema.ts';
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

const scalar = fields({ type: dtype, value: { type: ['number', 'string', 'boolean'] } }, ['type', 'value']);

const local = fields({ type: dtype, local: { type: 'integer', minimum: 1, maximum: 2 ** 31 - 1 } }, ['type', 'local']);

const buffer = fields(
  {
    name,
    type: dtype,
    data: { description: 'Numbers, { "base64": … }, bytes that another step stored, or a tensor.' },
    size: whole('Number of elements, zero at first; instead of data.', 0),
    shape: { type: 'array', items: { type: 'integer', minimum: 0 }, maxItems: 16, description: 'Of the output.' },
    output: flag('Whether the output has it. Default false.'),
    form: { enum: [...tensorForms], description: 'How the output holds it. Default list.' },
  },
  ['name', 'type'],
);

const launchParams: Record<string, JSONObject> = {
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
  shared_bytes: whole('Dynamic shared memory of a group.', 0, 1024 * 1024),
};

export const gpuComputeType: StepTypeManifest = {
  type: 'gpu_compute',
  description: 'Runs kernels in CUDA C++, OpenCL C or WGSL over buffers that stay on the device between launches.',
  params_schema: fields(
    {
      language: { enum: ['cuda', 'opencl', 'wgsl'] },
      source: text('Source text of the kernels.', 1024 * 1024),
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
        description:
          'Id of a device, such as cuda:0; its kind, such as cuda; gpu or cpu. Default a GPU where the step reserves one, or a processor.',
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
        items: fields({
          ...launchParams,
          arguments: {
            type: 'array',
            maxItems: 64,
            items: { anyOf: [{ ...name, description: 'Name of a buffer.' }, scalar, local] },
          },
        }),
      },
    },
    ['language', 'source', 'arguments'],
  ),
};
