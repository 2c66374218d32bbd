/** How the learning rate changes: first it rises for `warmupEpochs`, then it is as the kind says. */
export interface Schedule {
  readonly kind: 'constant' | 'step' | 'cosine';
  /** Of `step`: epochs after which the rate is multiplied by `factor`, again and again. */
  readonly every: number;
  readonly factor: number;
  /** Of `cosine`: what share of the rate is left at the end. */
  readonly end: number;
  readonly warmupEpochs: number;
}

/**
 * By what the learning rate is multiplied. `cosine`: half a period, SGDR without restarts, Loshchilov and Hutter, arXiv:1608.03983; the
 * warm-up is linear, Goyal et al., arXiv:1706.02677.
 * @param step from 1 @param stepsPerEpoch steps of one epoch @param epochs of the whole training
 */
export function rateFactor(schedule: Schedule, step: number, stepsPerEpoch: number, epochs: number): number {
  const { kind, every, factor, end, warmupEpochs } = schedule;
  const warmupSteps = warmupEpochs * stepsPerEpoch;
  if (step <= warmupSteps) return step / warmupSteps;
  if (kind === 'step') return factor ** Math.floor((step - 1) / stepsPerEpoch / every);
  if (kind === 'constant') return 1;
  const share = (step - 1 - warmupSteps) / Math.max(1, epochs * stepsPerEpoch - warmupSteps);
  return end + ((1 - end) * (1 + Math.cos(Math.PI * share))) / 2;
}
