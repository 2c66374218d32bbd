// A network with one hidden layer of tanh, or none; the output is a probability (logistic loss) or a number (half the squared error).

/** Numbers from 0 up to 1, the same for the same seed everywhere. */
class Random {
  private state: u32;

  constructor(seed: u32) {
    this.state = seed;
  }

  next(): f64 {
    this.state += 0x6d2b79f5;
    let t = (this.state ^ (this.state >>> 15)) * (1 | this.state);
    t = (t + (t ^ (t >>> 7)) * (61 | t)) ^ t;
    return <f64>(t ^ (t >>> 14)) / 4294967296.0;
  }
}

export class Network {
  /** For each hidden unit the weights of the inputs, then its bias. Without hidden units: none. */
  first: Float64Array;
  /** Weights of the hidden units (or inputs), then the bias. */
  second: Float64Array;
  private active: Float64Array;

  constructor(
    readonly inputs: i32,
    readonly hidden: i32,
    readonly isProbability: bool,
    seed: u32,
  ) {
    const random = new Random(seed);
    const last = hidden > 0 ? hidden : inputs;
    this.first = new Float64Array(hidden * (inputs + 1));
    this.second = new Float64Array(last + 1);
    this.active = new Float64Array(last);
    for (let unit = 0; unit < hidden; unit++)
      for (let input = 0; input < inputs; input++)
        this.first[unit * (inputs + 1) + input] = (random.next() * 2 - 1) / Math.sqrt(<f64>inputs);
    if (hidden > 0)
      for (let unit = 0; unit < hidden; unit++) this.second[unit] = (random.next() * 2 - 1) / Math.sqrt(<f64>hidden);
  }

  /** The output for a row; leaves what the hidden units gave in `active`. */
  output(rows: Float64Array, row: i32): f64 {
    const inputs = this.inputs;
    const hidden = this.hidden;
    const first = this.first;
    const second = this.second;
    const active = this.active;
    const start = row * inputs;
    if (hidden == 0) for (let input = 0; input < inputs; input++) active[input] = rows[start + input];
    for (let unit = 0; unit < hidden; unit++) {
      const own = unit * (inputs + 1);
      let sum = first[own + inputs];
      for (let input = 0; input < inputs; input++) sum += first[own + input] * rows[start + input];
      active[unit] = Math.tanh(sum);
    }
    let sum = second[active.length];
    for (let unit = 0; unit < active.length; unit++) sum += second[unit] * active[unit];
    return this.isProbability ? 1 / (1 + Math.exp(-sum)) : sum;
  }

  /** One step down the gradient over all rows. @returns the mean loss before it */
  step(rows: Float64Array, targets: Float64Array, rate: f64): f64 {
    const inputs = this.inputs;
    const hidden = this.hidden;
    const firstSlope = new Float64Array(this.first.length);
    const secondSlope = new Float64Array(this.second.length);
    let loss: f64 = 0;
    for (let row = 0; row < targets.length; row++) {
      const output = this.output(rows, row);
      const target = targets[row];
      loss += this.loss(output, target);
      // For both kinds of loss the slope at the sum is this difference.
      const slope = output - target;
      for (let unit = 0; unit < this.active.length; unit++) secondSlope[unit] += slope * this.active[unit];
      secondSlope[this.active.length] += slope;
      for (let unit = 0; unit < hidden; unit++) {
        const value = this.active[unit];
        const inner = slope * this.second[unit] * (1 - value * value);
        const own = unit * (inputs + 1);
        for (let input = 0; input < inputs; input++) firstSlope[own + input] += inner * rows[row * inputs + input];
        firstSlope[own + inputs] += inner;
      }
    }
    const scale = rate / <f64>targets.length;
    for (let index = 0; index < firstSlope.length; index++) this.first[index] -= scale * firstSlope[index];
    for (let index = 0; index < secondSlope.length; index++) this.second[index] -= scale * secondSlope[index];
    return loss / <f64>targets.length;
  }

  loss(output: f64, target: f64): f64 {
    if (!this.isProbability) return ((output - target) * (output - target)) / 2;
    const safe = Math.min(Math.max(output, 1e-15), 1 - 1e-15);
    return -(target * Math.log(safe) + (1 - target) * Math.log(1 - safe));
  }
}
