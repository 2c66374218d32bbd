import type { parse } from '@bufbuild/cel';
import type { Frame, Value } from './value.ts';

export type ParsedExpr = ReturnType<typeof parse>;
/** A node of the syntax tree (cel.expr.Expr). */
export type Expr = NonNullable<ParsedExpr['expr']>;
export type ExprCase<Name> = Extract<Expr['exprKind'], { case: Name }>['value'];

/** A compiled piece of an expression. */
export type Evaluate = (frame: Frame) => Value;
/** Variables by name, each with its slot in the frame. */
export type Scope = ReadonlyMap<string, number>;

export interface ExprCompiler {
  /** @throws Failure with the place in the source */
  compile(expr: Expr | undefined, scope: Scope): Evaluate;
  /** A scope with one more variable, and the variable's slot. */
  bind(name: string, scope: Scope): { scope: Scope; slot: number };
}
