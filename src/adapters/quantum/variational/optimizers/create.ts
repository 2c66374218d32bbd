import type { OptimizerChoice } from '../problem.ts';
import { lbfgs } from './lbfgs.ts';
import { nelderMead } from './nelder-mead.ts';
import type { Optimizer, Standing } from './optimizer.ts';
import { spsa } from './spsa.ts';

/**
 * Its state goes in and out as it is; who keeps it sees only what all have in common.
 * @param unit of the tolerance, where that is one of energies
 */
export function createOptimizer(choice: OptimizerChoice, unit: number): Optimizer<Standing> {
  switch (choice.type) {
    case 'nelder_mead':
      return nelderMead({ ...choice, tolerance: choice.tolerance * unit }) as Optimizer<Standing>;
    case 'spsa':
      return spsa(choice) as Optimizer<Standing>;
    case 'lbfgs':
      return lbfgs({ ...choice, tolerance: choice.tolerance * unit }) as Optimizer<Standing>;
  }
}
