import { fields, flag, object, text, whole } from '../../../kit/schema.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { StepTypeManifest } from '../../../protocol/messages.ts';
import { frameworks } from '../model/source.ts';
import { tensorForms } from '../tensor/to-json.ts';
import { deviceNames } from './device.ts';
import { layouts } from './preprocess.ts';

const batchSizeMax = 65_536;
const labelsMax = 100_000;

const names = (description: string, maxItems: number): JSONObject => ({
  type: 'array',
  minItems: 1,
  maxItems,
  items: { type: 'string', maxLength: 1024 },
  description,
});
const oneOrEach = (description: string): JSONObject => ({
  anyOf: [{ type: 'number' }, { type: 'array', minItems: 1, maxItems: 65_536, items: { type: 'number' } }],
  description,
});
const preprocess = object(
  'What is done to the input (the first, of several) before the model gets it, in this order: resize, scale, mean, std, layout.',
  {
    layout: { enum: [...layouts], description: "Of the images that are given. Default the model's." },
    model_layout: {
      enum: [...layouts],
      description: 'Of the images that the model takes. Default what its shape tells.',
    },
    resize: object(
      'Resizes images.',
      {
        width: whole('Pixels.', 1, 16_384),
        height: whole('Pixels.', 1, 16_384),
        method: { enum: ['bilinear', 'nearest'], description: 'Default bilinear.' },
        antialias: flag('bilinear: whether images are smoothed as they shrink. Default true.'),
        fit: {
          enum: ['fill', 'cover'],
          description:
            'fill, the default, stretches; cover keeps the proportions, and cuts off what is over at both sides.',
        },
      },
      ['width', 'height'],
    ),
    scale: { type: 'number', description: 'What every element is multiplied by, such as 0.00392156862745098 (1/255).' },
    mean: oneOrEach('What is subtracted then: a number, or one for each channel (of rows: for each element).'),
    std: oneOrEach('What is divided by then, likewise.'),
  },
);

const postprocess = object('What `result` is made of the main output by, over its last axis.', {
  activation: { enum: ['softmax', 'sigmoid'], description: 'For models that give logits.' },
  top_k: whole('The greatest scores, as { index, score, label }. Default all of the output.', 1, 1000),
  labels: names('What the places are called; with it, top_k is 1 by default.', labelsMax),
});

const remote: Record<string, JSONObject> = {
  url: text('remote: where the server is, such as "http://models:8000".', 2048),
  model_name: text('remote: what the server calls the model. Default params.model.', 256),
  model_version: text('remote: which version. Default the server chooses.', 256),
  headers: {
    type: 'object',
    additionalProperties: { type: 'string', maxLength: 16_384 },
    maxProperties: 64,
    description: 'remote: headers, such as { "authorization": "vault://models" }.',
  },
  binary: flag('remote: send and ask for tensors as bytes. Default what the server can.'),
  request_timeout_ms: whole('remote: how long one request may take. Default 60,000.', 1, 3_600_000),
};

const common: Record<string, JSONObject> = {
  model: {
    description:
      'The model: a file of the node, sha256: and its digest, a URL, { "base64": … }, bytes that a step stored, or what ml_train gave.',
    anyOf: [{ type: 'string', minLength: 1, maxLength: 4096 }, { type: 'object' }],
  },
  framework: {
    enum: [...frameworks],
    description:
      'Of the model. Default onnx, or tfjs for a file that ends in .json; remote: a server of the Open Inference Protocol.',
  },
  digest: {
    type: 'string',
    pattern: '^(?:sha256:)?[0-9a-f]{64}$',
    description: 'SHA-256 that the model must have.',
  },
  device: { enum: [...deviceNames], description: 'Where it runs. Default cpu; a GPU where the step reserves one.' },
  columns: names('Where rows are objects: which of their values a row is made of, in this order.', 10_000),
  outputs: names('Names of the outputs that are wanted; the first is the main one. Default all.', 256),
  preprocess,
  postprocess,
  ...remote,
};

const schemaOf = (properties: Record<string, JSONObject>): JSONObject =>
  fields({ ...common, ...properties }, ['input']);

const input = (description: string): JSONObject => ({ description });

export const inferStepTypes: StepTypeManifest[] = [
  {
    type: 'ml_infer',
    description: 'Runs a trained model over an input.',
    deterministic: false,
    asset_params: ['model', 'input.image_file', 'input.*.image_file'],
    params_schema: schemaOf({
      input: input(
        'A tensor: lists of numbers, { "shape", "dtype", "data" } with lists, base64 or stored bytes; or an object of them by the names of the inputs.',
      ),
      batch_size: whole('Rows that the model is given at a time. Default all.', 1, batchSizeMax),
      output_form: { enum: [...tensorForms], description: 'How outputs stand in the result. Default list.' },
      dynamic_batching: flag(
        'Whether rows of concurrent steps run together. Default where the first axis of all inputs and outputs is named as one of independent rows, such as "batch" or "N".',
      ),
    }),
  },
  {
    type: 'ml_batch',
    description: 'Runs a trained model over many rows, batch by batch, in memory that does not grow with their number.',
    deterministic: false,
    asset_params: ['model', 'input.image_file', 'input.*.image_file'],
    params_schema: schemaOf({
      input: input('Rows: a list, rows that a step stored, or a tensor whose first axis is the rows.'),
      batch_size: whole('Rows that the model is given at a time. Default 32.', 1, batchSizeMax),
      max_rows_inline: whole('Rows that the output holds itself; more are stored. Default 10,000.', 0, 100_000),
    }),
  },
];
