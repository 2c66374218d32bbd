import { fields, flag, object, text, whole } from '../../../kit/schema.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { StepTypeManifest } from '../../../protocol/messages.ts';
import { deviceNames } from '../infer/device.ts';
import { batchSizeDefault, epochsDefault, threadsMax } from './limits.ts';
import { layerTypes, lossKinds } from './net/names.ts';

const number = (description: string, minimum: number, maximum: number): JSONObject => ({
  type: 'number',
  minimum,
  maximum,
  description,
});
const data = (description: string): JSONObject => ({ type: ['array', 'object'], description });

const optimizer: JSONObject = {
  description: 'sgd or adam, or an object with its settings. Default adam.',
  anyOf: [
    { enum: ['sgd', 'adam'] },
    fields({
      type: { enum: ['sgd', 'adam'], description: 'Default adam.' },
      learning_rate: {
        type: 'number',
        exclusiveMinimum: 0,
        description: 'Default 0.001 for adam, 0.01 for sgd.',
      },
      momentum: number('sgd: what of the last step goes on. Default 0.', 0, 0.9999),
      beta1: number('adam: of the running mean. Default 0.9.', 0, 0.9999),
      beta2: number('adam: of the running square. Default 0.999.', 0, 0.999999),
      epsilon: number('adam: what the root of the square is raised by. Default 1e-7.', 1e-30, 1),
    }),
  ],
};

const weight = number('Of a class.', 0, 1e6);

const schedule = object('How the learning rate changes, such as { "type": "cosine", "warmup_epochs": 2 }.', {
  type: {
    enum: ['constant', 'step', 'cosine'],
    description:
      'How the learning rate goes on: as it is (default); times factor every so many epochs; or down along half a cosine, until the last epoch.',
  },
  every: whole('step: epochs. Default 10.', 1, 10_000),
  factor: number('step: Default 0.1.', 1e-6, 1),
  end: number('cosine: what share of the rate is left at the end. Default 0.', 0, 1),
  warmup_epochs: number('Epochs in which it rises to what it is. Default 0.', 0, 10_000),
});

const oneOrEach: JSONObject = {
  anyOf: [{ type: 'number' }, { type: 'array', minItems: 1, maxItems: 1_000_000, items: { type: 'number' } }],
};

const normalize: JSONObject = {
  description:
    'How features are scaled within the model, (x - mean) / std, per feature or channel: standard, by the samples that are trained with; none; or numbers. Default none.',
  anyOf: [{ enum: ['none', 'standard'] }, fields({ mean: oneOrEach, std: oneOrEach })],
};

/** `ml_train`. Params: docs/adapters/ml.md. */
export const trainStepType: StepTypeManifest = {
  type: 'ml_train',
  description:
    'Trains a dense or convolutional net on data of earlier steps; the model comes out as ONNX. Or averages models that were trained (FedAvg).',
  // Equal on one machine; another processor may round in another order.
  deterministic: false,
  asset_params: ['initial_model'],
  params_schema: fields({
    data: data(
      'Samples: { features, label } or { x, y } each, rows with the label last, rows with names, { x, y } with tensors, or stored rows. With average: what the mean is tried on.',
    ),
    validation_data: data('Samples that are not trained with, in the same forms.'),
    validation_split: {
      type: 'number',
      minimum: 0,
      exclusiveMaximum: 1,
      description: 'Share of the samples that is drawn by chance and not trained with. Default 0.',
    },
    label_column: text('Of rows with names: which is the label. Default label, or y where there is none.'),
    feature_columns: {
      type: 'array',
      minItems: 1,
      maxItems: 100_000,
      items: { type: 'string', maxLength: 256 },
      description: 'Of rows with names: which are features, in this order. Default all others, by name.',
    },
    input_shape: {
      type: 'array',
      minItems: 1,
      maxItems: 4,
      items: { type: 'integer', minimum: 1 },
      description: 'Of one sample, such as [1, 28, 28] for images: channels, height, width. Default as the data are.',
    },
    classes: {
      type: 'array',
      minItems: 2,
      maxItems: 100_000,
      uniqueItems: true,
      items: { type: ['string', 'number', 'boolean'] },
      description: 'Labels in the order of the outputs. Default those that there are, sorted.',
    },
    layers: {
      type: 'array',
      minItems: 1,
      maxItems: 100,
      items: { type: 'object', properties: { type: { enum: [...layerTypes] } }, required: ['type'] },
      description:
        'The net, such as [{ "type": "dense", "units": 32, "activation": "relu" }, { "type": "dense" }]. Units and activation of the last layer follow from labels and loss.',
    },
    loss: {
      enum: [...lossKinds],
      description:
        'Default cross_entropy; binary_cross_entropy for two classes, or several at once (labels of 0 and 1 each), mse for numbers.',
    },
    optimizer,
    l2: number('Regularization of weights: half of it times their squares is added to the loss. Default 0.', 0, 100),
    class_weight: {
      anyOf: [
        { enum: ['balanced'] },
        { type: 'object', additionalProperties: weight },
        { type: 'array', minItems: 2, maxItems: 100_000, items: weight },
      ],
      description:
        'How much the samples of each class count in the training: by label, such as { "rare": 10 }, others 1; in the order of the classes; or balanced: all classes the same.',
    },
    clip_norm: {
      type: 'number',
      minimum: 1e-30,
      maximum: 1e30,
      description:
        'The most that the norm of the whole gradient may be; what is longer is scaled down. Default: anything.',
    },
    schedule,
    epochs: whole(`How often all samples are trained with. Default ${epochsDefault}.`, 0, 10_000),
    batch_size: whole(`Samples in one step. Default ${batchSizeDefault}.`, 1, 65_536),
    shuffle: flag('Whether each epoch takes them in another order. Default true.'),
    normalize,
    early_stopping: object(
      'Ends the training when the loss of the validation (of the training, where there is none) becomes no better; the model is that of the best epoch.',
      {
        patience: whole('Epochs without a better loss. Default 5.', 1, 10_000),
        min_delta: number('By how much it must be better. Default 0.', 0, 1e6),
      },
    ),
    seed: {
      anyOf: [{ type: 'string', maxLength: 256 }, { type: 'integer' }],
      description: 'What chance follows from. Default the run and the step.',
    },
    threads: whole('Of the processor. Default the cpu_cores that the step reserves, or 1.', 1, threadsMax),
    device: { enum: [...deviceNames], description: 'Default auto: a GPU where the step reserves one, or the CPU.' },
    initial_model: {
      type: ['string', 'object'],
      description: 'A model of ml_train, or the output of its step, to train further.',
    },
    average: {
      type: 'array',
      minItems: 1,
      maxItems: 1000,
      items: { type: ['string', 'object'] },
      description:
        'Models whose weights are averaged: outputs of ml_train, each by its number of samples, or { "model": …, "weight": … }.',
    },
  }),
};
