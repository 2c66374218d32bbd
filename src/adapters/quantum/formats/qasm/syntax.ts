/** The syntax tree of OpenQASM; `at` is where in the text a part of it begins. */
export type Expr =
  | { readonly kind: 'integer'; readonly at: number; readonly value: bigint }
  | { readonly kind: 'real'; readonly at: number; readonly value: number }
  | { readonly kind: 'boolean'; readonly at: number; readonly value: boolean }
  | { readonly kind: 'bitstring'; readonly at: number; readonly bits: string }
  | { readonly kind: 'name'; readonly at: number; readonly name: string }
  /** `$3` */
  | { readonly kind: 'physical'; readonly at: number; readonly qubit: number }
  | { readonly kind: 'index'; readonly at: number; readonly of: Expr; readonly by: readonly Expr[] }
  | { readonly kind: 'range'; readonly at: number; readonly from?: Expr; readonly step?: Expr; readonly to?: Expr }
  /** `{1, 2}`: a set of indices, or an array. */
  | { readonly kind: 'list'; readonly at: number; readonly items: readonly Expr[] }
  | { readonly kind: 'unary'; readonly at: number; readonly operator: string; readonly of: Expr }
  | {
      readonly kind: 'binary';
      readonly at: number;
      readonly operator: string;
      readonly left: Expr;
      readonly right: Expr;
    }
  | { readonly kind: 'call'; readonly at: number; readonly name: string; readonly args: readonly Expr[] }
  | { readonly kind: 'cast'; readonly at: number; readonly type: Type; readonly of: Expr }
  | { readonly kind: 'measure'; readonly at: number; readonly of: Expr };

export const scalarTypes = ['int', 'uint', 'float', 'angle', 'bool', 'bit'] as const;

export interface Type {
  readonly name: (typeof scalarTypes)[number] | 'array';
  readonly size?: Expr;
}

export type Modifier =
  | { readonly kind: 'inv' }
  | { readonly kind: 'pow'; readonly at: number; readonly exponent: Expr }
  | { readonly kind: 'ctrl'; readonly at: number; readonly value: 0 | 1; readonly count?: Expr };

/** A gate on operands; without them perhaps a call of a subroutine. */
export interface Call {
  readonly kind: 'call';
  readonly at: number;
  readonly modifiers: readonly Modifier[];
  readonly name: string;
  readonly args: readonly Expr[];
  readonly operands: readonly Expr[];
}

export interface GateDefinition {
  readonly kind: 'gate';
  readonly at: number;
  readonly name: string;
  readonly params: readonly string[];
  readonly qubits: readonly string[];
  /** Undefined where it is opaque. */
  readonly body?: readonly Statement[];
}

export interface Subroutine {
  readonly kind: 'def';
  readonly at: number;
  readonly name: string;
  readonly params: readonly { readonly name: string; readonly type: Type | 'qubit'; readonly size?: Expr }[];
  readonly body: readonly Statement[];
}

export interface Declaration {
  readonly kind: 'declare';
  readonly at: number;
  readonly role: 'const' | 'input' | 'variable';
  readonly type: Type;
  readonly name: string;
  readonly value?: Expr;
}

export interface Case {
  readonly values: readonly Expr[];
  readonly body: readonly Statement[];
}

export type Statement =
  | Call
  | GateDefinition
  | Subroutine
  | Declaration
  | { readonly kind: 'include'; readonly at: number; readonly file: string }
  | { readonly kind: 'qubits'; readonly at: number; readonly name: string; readonly size?: Expr }
  | { readonly kind: 'alias'; readonly at: number; readonly name: string; readonly of: Expr }
  | { readonly kind: 'measure'; readonly at: number; readonly of: Expr; readonly into?: Expr }
  | { readonly kind: 'assign'; readonly at: number; readonly to: Expr; readonly operator: string; readonly value: Expr }
  | { readonly kind: 'reset'; readonly at: number; readonly of: Expr }
  /** No operands: all qubits. */
  | { readonly kind: 'barrier'; readonly at: number; readonly of: readonly Expr[] }
  | {
      readonly kind: 'if';
      readonly at: number;
      readonly condition: Expr;
      readonly body: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
  | { readonly kind: 'while'; readonly at: number; readonly condition: Expr; readonly body: readonly Statement[] }
  | {
      readonly kind: 'for';
      readonly at: number;
      readonly type: Type;
      readonly name: string;
      readonly over: Expr;
      readonly body: readonly Statement[];
    }
  | {
      readonly kind: 'switch';
      readonly at: number;
      readonly of: Expr;
      readonly cases: readonly Case[];
      readonly otherwise: readonly Statement[];
    }
  | { readonly kind: 'block'; readonly at: number; readonly body: readonly Statement[] }
  | { readonly kind: 'return'; readonly at: number; readonly value?: Expr }
  | { readonly kind: 'jump'; readonly at: number; readonly to: 'break' | 'continue' | 'end' }
  | { readonly kind: 'nothing'; readonly at: number };
