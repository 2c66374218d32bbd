// What the command line and the public interface need of the layers below without starting an engine.
import { validateWorkflow as validateAgainst } from '../core/workflow/validate.ts';
import type { Adapter } from '../ports/adapter.ts';
import { AdapterRegistry } from '../worker/registry.ts';
import { chosenAdapters } from './adapters.ts';

export { encodeBundle } from '../core/receipt/bundle.ts';
export { type VerifyReport, verifyBundle } from '../core/receipt/verify.ts';
export type { EgressRules } from '../egress/policy.ts';
export type { CoordinatorApi, DeploymentStatus, StreamEvent, SubmitRequest } from '../engine/api.ts';
/** What validation finds. */
export type ValidationResult = ReturnType<typeof validateAgainst>;

/** The adapters that every node has. */
export const builtInAdapters = (): Adapter[] => chosenAdapters();

/**
 * Validates a workflow against the built-in step types.
 * @param source its JSON source, for problems with line and column, or an object
 */
export function validateWorkflow(source: unknown): ValidationResult {
  const registry = new AdapterRegistry();
  for (const adapter of builtInAdapters()) registry.register(adapter, { builtIn: true });
  return validateAgainst(source, { stepTypes: registry.stepTypes(), lint: (step) => registry.lint(step) });
}
