// Trains a small model, over the buffer ABI: every function takes (pointer, length) and gives pointer << 32 | length.
//
// train_model (and process): JSON, one of
// - { "features": [[…], …], "labels": […], and any of "epochs", "learning_rate", "hidden", "seed" }
// - a list of { "features": […], "label": … }, under "data" where settings are given
// - a list of lists of numbers, whose last one is the label, likewise.
// Labels that are all 0 or 1 train a classifier, others a regression. Inputs are scaled to mean 0 and deviation 1 before.
// Gives { "kind", "features", "samples", "epochs", "initial_loss", "final_loss", "losses", "accuracy", "model" }.
//
// Bad arguments end the call with a message.
import { Reader, Value } from './json';
import { Network } from './network';

export function alloc(length: i32): i32 {
  return <i32>heap.alloc(length > 0 ? length : 1);
}

export function dealloc(pointer: i32, _length: i32): void {
  heap.free(pointer);
}

class Data {
  width: i32 = -1;
  rows: f64[] = [];
  labels: f64[] = [];

  add(features: Value, count: i32, label: f64): void {
    if (this.width == -1) this.width = count;
    if (count != this.width || count < 1)
      throw new Error('every sample must have the same number of features, at least one');
    for (let index = 0; index < count; index++) this.rows.push(numeric(features.items[index]));
    this.labels.push(label);
  }
}

const usage =
  'train_model takes { "features": [[numbers]], "labels": [numbers], "epochs", "learning_rate", "hidden", "seed" }, or a list of { "features", "label" }, or a list of lists of numbers with the label last';

function numeric(value: Value): f64 {
  if (value.isNumber) return value.number;
  if (value.text == 'true') return 1;
  if (value.text == 'false') return 0;
  throw new Error(usage);
}

function setting(input: Value, key: string, otherwise: f64, min: f64, max: f64, whole: bool): f64 {
  const value = input.get(key);
  if (value == null) return otherwise;
  const number = numeric(value);
  if (!(number >= min && number <= max) || (whole && number != Math.floor(number)))
    throw new Error(key + ' must be from ' + plain(min) + ' to ' + plain(max));
  return number;
}

function read(input: Value): Data {
  const data = new Data();
  const features = input.first(['features', 'samples', 'data']);
  const list = features == null ? input : features;
  const labels = input.first(['labels', 'targets']);
  if (!list.isList || (labels != null && (!labels.isList || labels.items.length != list.items.length)))
    throw new Error(usage);
  for (let index = 0; index < list.items.length; index++) {
    const item = list.items[index];
    if (item.isObject) {
      const own = item.get('features');
      const label = item.get('label');
      if (own == null || label == null || !own.isList) throw new Error(usage);
      data.add(own, own.items.length, numeric(label));
    } else if (!item.isList) throw new Error(usage);
    else if (labels != null) data.add(item, item.items.length, numeric(labels.items[index]));
    else if (item.items.length < 2) throw new Error(usage);
    else data.add(item, item.items.length - 1, numeric(item.items[item.items.length - 1]));
  }
  if (data.labels.length == 0) throw new Error('there are no samples to train with; ' + usage);
  return data;
}

/** Scales every column in place to mean 0 and deviation 1. */
function scale(rows: Float64Array, width: i32, means: Float64Array, deviations: Float64Array): void {
  const count = rows.length / width;
  for (let column = 0; column < width; column++) {
    let sum: f64 = 0;
    for (let row = 0; row < count; row++) sum += rows[row * width + column];
    const mean = sum / <f64>count;
    let squares: f64 = 0;
    for (let row = 0; row < count; row++) {
      const away = rows[row * width + column] - mean;
      squares += away * away;
    }
    const deviation = Math.sqrt(squares / <f64>count);
    means[column] = mean;
    deviations[column] = deviation > 0 ? deviation : 1;
    for (let row = 0; row < count; row++)
      rows[row * width + column] = (rows[row * width + column] - mean) / deviations[column];
  }
}

function listed(numbers: Float64Array): string {
  const texts: string[] = [];
  for (let index = 0; index < numbers.length; index++) texts.push(written(numbers[index]));
  return '[' + texts.join(',') + ']';
}

function written(number: f64): string {
  if (!isFinite(number)) throw new Error('the training did not converge: use a smaller learning_rate');
  return plain(number);
}

function plain(number: f64): string {
  const text = number.toString();
  return text.endsWith('.0') ? text.substring(0, text.length - 2) : text;
}

function given(text: string): i64 {
  const length = String.UTF8.byteLength(text);
  const pointer = alloc(length);
  String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, pointer);
  return ((<i64>pointer) << 32) | <i64>length;
}

export function train_model(pointer: i32, length: i32): i64 {
  const input = new Reader(<u32>pointer, <u32>length).whole();
  const data = read(input);
  const epochs = <i32>setting(input, 'epochs', 200, 1, 100000, true);
  const rate = setting(input, 'learning_rate', 0.5, 1e-9, 100, false);
  const hidden = <i32>setting(input, 'hidden', 0, 0, 1024, true);
  const seed = <u32>setting(input, 'seed', 1, 0, 4294967295, true);
  const width = data.width;
  const count = data.labels.length;
  const rows = new Float64Array(data.rows.length);
  for (let index = 0; index < rows.length; index++) rows[index] = data.rows[index];
  const labels = new Float64Array(count);
  let isClassifier = true;
  for (let index = 0; index < count; index++) {
    labels[index] = data.labels[index];
    if (labels[index] != 0 && labels[index] != 1) isClassifier = false;
  }
  const means = new Float64Array(width);
  const deviations = new Float64Array(width);
  scale(rows, width, means, deviations);
  const network = new Network(width, hidden, isClassifier, seed);
  const kept = new Float64Array(epochs < 10 ? epochs : 10);
  let initial: f64 = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const loss = network.step(rows, labels, rate);
    if (epoch == 0) initial = loss;
    const place = <i32>((<i64>epoch * kept.length) / epochs);
    kept[place] = loss;
  }
  let final: f64 = 0;
  let right = 0;
  for (let row = 0; row < count; row++) {
    const output = network.output(rows, row);
    final += network.loss(output, labels[row]);
    if (output >= 0.5 == labels[row] >= 0.5) right++;
  }
  return given(
    '{"kind":"' +
      (isClassifier ? 'classifier' : 'regression') +
      '","features":' +
      width.toString() +
      ',"samples":' +
      count.toString() +
      ',"epochs":' +
      epochs.toString() +
      ',"initial_loss":' +
      written(initial) +
      ',"final_loss":' +
      written(final / <f64>count) +
      ',"losses":' +
      listed(kept) +
      (isClassifier ? ',"accuracy":' + written(<f64>right / <f64>count) : '') +
      ',"model":{"hidden":' +
      hidden.toString() +
      ',"means":' +
      listed(means) +
      ',"deviations":' +
      listed(deviations) +
      ',"first":' +
      listed(network.first) +
      ',"second":' +
      listed(network.second) +
      '}}',
  );
}

export function process(pointer: i32, length: i32): i64 {
  return train_model(pointer, length);
}
