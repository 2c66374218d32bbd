import type { StandardGate } from './standard.ts';
import type { GateDefinition, Subroutine, Type } from './syntax.ts';
import type { Value } from './values.ts';

export type Binding = Place | Variable | UserGate | { readonly kind: 'def'; readonly definition: Subroutine };

export interface UserGate {
  readonly kind: 'gate';
  readonly definition: GateDefinition;
  /** What the names of gates in its body mean. */
  readonly calls: ReadonlyMap<string, GateMeaning>;
}

export type GateMeaning = UserGate | { readonly kind: 'standard'; readonly gate: StandardGate };

/** Some qubits or classical bits, by their numbers in the circuit. */
export interface Place {
  readonly kind: 'qubits' | 'bits';
  readonly of: readonly number[];
  /** One of them, not a register of one: it goes with each of a register. */
  readonly isSingle: boolean;
}

export interface Variable {
  readonly kind: 'variable';
  readonly type: Type;
  readonly isConstant: boolean;
  value: Value | undefined;
  /** Where it was set, as what runs only sometimes can't change what is known before. */
  readonly flow: Flow;
  /** When it was set, so that a bit that was measured since is not taken for what it was. */
  since: number;
}

/** A body that runs as measured bits tell. */
export interface Flow {
  readonly parent: Flow | undefined;
  readonly isLoop: boolean;
}

export const always: Flow = { parent: undefined, isLoop: false };

export const constant = (type: Type, value: Value): Variable => ({
  kind: 'variable',
  type,
  isConstant: true,
  value,
  flow: always,
  since: 0,
});

export class Scope {
  readonly parent: Scope | undefined;
  readonly #names = new Map<string, Binding>();

  constructor(parent?: Scope) {
    this.parent = parent;
  }

  find(name: string): Binding | undefined {
    return this.#names.get(name) ?? this.parent?.find(name);
  }

  /** @returns whether the name was free here */
  declare(name: string, binding: Binding): boolean {
    if (this.#names.has(name)) return false;
    this.#names.set(name, binding);
    return true;
  }

  /** All names that can be seen from here. */
  names(kind: Binding['kind']): string[] {
    const own = [...this.#names].filter(([, binding]) => binding.kind === kind).map(([name]) => name);
    return [...own, ...(this.parent?.names(kind) ?? [])];
  }
}
