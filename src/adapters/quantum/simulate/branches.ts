import { StepError } from '../../../lib/errors.ts';
import { evaluate, type GateOperation, gateOn, roundsMax } from '../circuit/circuit.ts';
import { gateNamed } from '../circuit/gates.ts';
import { gatesOf } from './channel.ts';
import type { LoopStep, MeasureStep, NoiseStep, Step } from './program.ts';
import type { State } from './state.ts';

/** A state that is a mixture: channels act on it as gates do, so that it needs no shots for them. */
export interface MixedState extends State {
  /** What one of these steps does. */
  mix(step: NoiseStep | { readonly kind: 'reset'; readonly qubit: number }): void;
}

const isMixed = (state: State): state is MixedState => 'mix' in state;

export interface BranchJob {
  readonly steps: readonly Step[];
  readonly bits: number;
  /** @param progress to be called where gates take long, with the part of them that is done */
  readonly create: (progress: (fraction: number) => void) => State;
  /** Shots, or the whole probability. */
  readonly amount: number;
  /** How many of an amount get each outcome of these weights. */
  readonly split: (weights: readonly number[], amount: number) => readonly number[];
  /** States that may exist at once; at least 1. */
  readonly statesMax: number;
  /** Probabilities below it are what rounding left of 0. */
  readonly epsilon: number;
  /** A state at the end, with what was measured on the way and the amount that got there. It is released after. */
  readonly leaf: (state: State, bits: Uint8Array, amount: number) => void;
  /** Of the whole, as what is done. */
  readonly progress: (fraction: number) => void;
}

/** One way through a program: what happened so far, and what is still to do. */
interface Path {
  readonly state: State;
  /** Gates that wait until the state is looked at, so that many are applied at once. */
  waiting: GateOperation[];
  readonly frames: Frame[];
  readonly bits: Uint8Array;
  amount: number;
  /** The outcome of every chance so far, by which the path can be gone again. */
  readonly history: number[];
  /** How many outcomes of the history were taken; those after are forced. */
  taken: number;
  /** The share of the program that is done. */
  done: number;
}

interface Frame {
  readonly steps: readonly Step[];
  at: number;
  readonly loop?: LoopStep;
  rounds: number;
}

/** What may happen at a chance. */
interface Chance {
  readonly weight: number;
  readonly happen: (path: Path) => void;
}

/**
 * Runs a program on states that chance splits: at each measurement, reset and error the shots are divided among the outcomes, and each outcome
 * that got some goes on apart. The outcome with the most shots goes on in place, after the others have gone on copies of the state: each has at
 * most half the shots, so that log2(shots) copies exist at once. What may not be copied for want of memory is run again from the start.
 *
 * @returns the number of paths
 */
export function runBranches(job: BranchJob): number {
  return new Branches(job).run();
}

class Branches {
  private readonly job: BranchJob;
  private readonly deferred: { history: number[]; amount: number }[];
  private paths = 0;
  private done = 0;
  /** Of the gates that are being applied. */
  private within: (fraction: number) => void = () => undefined;

  constructor(job: BranchJob) {
    this.job = job;
    this.deferred = [{ history: [], amount: job.amount }];
  }

  run(): number {
    for (let next = this.deferred.pop(); next !== undefined; next = this.deferred.pop()) {
      const { create, steps, bits } = this.job;
      const frames: Frame[] = [{ steps, at: 0, rounds: 0 }];
      const place = { frames, bits: new Uint8Array(bits), taken: 0, done: 0 };
      const state = create((fraction) => this.within(fraction));
      this.follow({ state, waiting: [], ...place, ...next }, 1);
    }
    return this.paths;
  }

  /** To the end. @param states how many exist, that of the path among them */
  private follow(path: Path, states: number): void {
    for (let step = this.next(path); step !== undefined; step = this.next(path)) {
      if (step.kind === 'gate') path.waiting.push(step);
      else if (step.kind === 'branch') {
        const body = holds(step.condition, path) ? step.body : step.otherwise;
        path.frames.push({ steps: body, at: 0, rounds: 0 });
      } else if (step.kind === 'loop')
        path.frames.push({ steps: step.body, at: step.body.length, loop: step, rounds: 0 });
      else if (isMixed(path.state) && step.kind !== 'measure') this.mix(path, path.state, step);
      else this.decide(path, this.chancesOf(path, step), states);
    }
    this.flush(path);
    this.paths += 1;
    this.job.leaf(path.state, path.bits, path.amount);
    this.advance(path, 1);
    path.state.release();
  }

  private mix(path: Path, state: MixedState, step: Parameters<MixedState['mix']>[0]): void {
    this.flush(path);
    state.mix(step);
  }

  private next(path: Path): Step | undefined {
    for (let frame = path.frames.at(-1); frame !== undefined; frame = path.frames.at(-1)) {
      const step = frame.steps[frame.at];
      if (step !== undefined) {
        frame.at += 1;
        return step;
      }
      if (frame.loop !== undefined && holds(frame.loop.condition, path)) {
        frame.rounds += 1;
        if (frame.rounds > roundsMax) throw tooManyRounds();
        frame.at = 0;
        // A body with nothing in it changes nothing: the condition holds for ever.
        if (frame.steps.length === 0) throw tooManyRounds();
      } else path.frames.pop();
    }
    return undefined;
  }

  private decide(path: Path, chances: readonly Chance[], states: number): void {
    const take = (on: Path, outcome: number): void => {
      if (on.taken === on.history.length) on.history.push(outcome);
      on.taken += 1;
      chances[outcome]?.happen(on);
    };
    const forced = path.history[path.taken];
    if (forced !== undefined) return take(path, forced);
    const amounts = this.job.split(
      chances.map(({ weight }) => weight),
      path.amount,
    );
    const most = amounts.reduce((best, amount, at) => (amount > (amounts[best] ?? 0) ? at : best), 0);
    for (const [outcome, amount] of amounts.entries()) {
      if (outcome === most || amount === 0) continue;
      if (states >= this.job.statesMax) {
        this.deferred.push({ history: [...path.history, outcome], amount });
        this.done -= (amount / this.job.amount) * path.done;
        continue;
      }
      this.flush(path);
      const copy = copyOf(path, amount);
      take(copy, outcome);
      this.follow(copy, states + 1);
    }
    path.amount = amounts[most] ?? 0;
    take(path, most);
  }

  private chancesOf(path: Path, step: Exclude<Step, { kind: 'gate' | 'branch' | 'loop' }>): readonly Chance[] {
    switch (step.kind) {
      case 'noise':
        return this.errors(path, step);
      case 'measure':
        return measurement(step, this.probabilityOfOne(path, step.qubit));
      case 'reset': {
        const one = this.probabilityOfOne(path, step.qubit);
        const flip = gateOn(gateNamed('x'), [step.qubit]);
        return [
          { weight: 1 - one, happen: ({ state }) => state.collapse(step.qubit, 0) },
          {
            weight: one,
            happen: ({ state, waiting }) => {
              state.collapse(step.qubit, 1);
              waiting.push(flip);
            },
          },
        ];
      }
    }
  }

  private errors(path: Path, { form, qubits }: NoiseStep): readonly Chance[] {
    // Of a mixture nobody needs to look at the state, and gates go on waiting.
    const state = form.isMixture ? undefined : this.flush(path);
    const all = new Array<string>(path.state.qubits).fill('I');
    return form.cases.map((one) => {
      const weight = one.weight.reduce((sum, { letters, coefficient }) => {
        if (/^I*$/.test(letters)) return sum + coefficient;
        const full = [...all];
        for (const [at, qubit] of qubits.entries())
          full[full.length - 1 - qubit] = letters[letters.length - 1 - at] ?? 'I';
        return sum + coefficient * (state?.expectation(full.join('')) ?? 0);
      }, 0);
      const probability = weight < this.job.epsilon && !form.isMixture ? 0 : weight;
      return { weight: probability, happen: (on) => on.waiting.push(...gatesOf(one, qubits, probability)) };
    });
  }

  private probabilityOfOne(path: Path, qubit: number): number {
    const one = this.flush(path).probabilityOfOne(qubit);
    const { epsilon } = this.job;
    return one < epsilon ? 0 : one > 1 - epsilon ? 1 : one;
  }

  /** The state once all gates that waited have acted. */
  private flush(path: Path): State {
    if (path.waiting.length === 0) return path.state;
    const [first] = path.frames;
    const to = first === undefined ? 1 : first.at / (first.steps.length + 1);
    const part = (path.amount / this.job.amount) * (to - path.done);
    this.within = (fraction) => this.job.progress(Math.min(1, this.done + fraction * part));
    path.state.apply(path.waiting);
    path.waiting = [];
    this.advance(path, to);
    return path.state;
  }

  private advance(path: Path, to: number): void {
    this.done += (path.amount / this.job.amount) * (to - path.done);
    path.done = to;
    this.job.progress(Math.min(1, this.done));
  }
}

function measurement({ qubit, bit, misread }: MeasureStep, one: number): readonly Chance[] {
  const outcome = (measured: 0 | 1, read: 0 | 1, weight: number): Chance => ({
    weight,
    happen: ({ state, bits }) => {
      state.collapse(qubit, measured);
      bits[bit] = read;
    },
  });
  const { oneGivenZero, zeroGivenOne } = misread ?? { oneGivenZero: 0, zeroGivenOne: 0 };
  return [
    outcome(0, 0, (1 - one) * (1 - oneGivenZero)),
    outcome(0, 1, (1 - one) * oneGivenZero),
    outcome(1, 1, one * (1 - zeroGivenOne)),
    outcome(1, 0, one * zeroGivenOne),
  ];
}

const holds = (condition: LoopStep['condition'], { bits }: Path): boolean =>
  evaluate(condition, (bit) => (bits[bit] === 1 ? 1 : 0)) !== 0n;

function copyOf(path: Path, amount: number): Path {
  return {
    ...path,
    state: path.state.clone(),
    waiting: [],
    frames: path.frames.map((frame) => ({ ...frame })),
    bits: path.bits.slice(),
    amount,
    history: [...path.history],
  };
}

const tooManyRounds = (): StepError =>
  new StepError('QUANTUM_LOOP_TOO_LONG', `A loop ran ${roundsMax} rounds and its condition still holds`);
