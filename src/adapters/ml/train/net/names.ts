/** What a net is trained for. */
export const lossKinds = ['cross_entropy', 'binary_cross_entropy', 'mse'] as const;
export type LossKind = (typeof lossKinds)[number];

/** Types of layers as workflows name them. */
export const layerTypes = [
  'dense',
  'conv1d',
  'conv2d',
  'max_pool1d',
  'max_pool2d',
  'avg_pool2d',
  'global_avg_pool2d',
  'flatten',
  'reshape',
  'activation',
  'dropout',
  'batch_norm',
] as const;
export type LayerType = (typeof layerTypes)[number];
