import type { RunOptions } from './run.ts';

/** Where one instance of a server lives. */
export interface Place {
  /** An own folder, which belongs to the account that the server runs as. */
  readonly dir: string;
  /** As many as the recipe asked for; the first is the one that clients use. */
  readonly ports: readonly number[];
  /** Letters and digits only, so that it needs no quoting anywhere. */
  readonly password: string;
}

/** A process to start. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** How a missing server is got: a Debian package, or something that ends up in a folder of the cache. */
export type Installation =
  | { readonly kind: 'debian'; readonly package: string }
  | {
      readonly kind: 'cache';
      /** Its place. */
      readonly folder: string;
      /** Programs that the work needs. */
      readonly needs: readonly string[];
      /** Fills an empty folder, which is moved to its place once it is complete. */
      build(folder: string): Promise<void>;
    };

/** Everything that is particular to one kind of server. */
export interface Recipe {
  readonly title: string;
  /** Of the server that `installation` gets, where `probe` can't tell. */
  readonly version?: string;
  readonly portCount: number;
  /** The account of the Debian package, for a server that refuses to run as root. */
  readonly user?: string;
  readonly installation: Installation;
  /** Where the program is, in whatever form `prepare` and `programs` need; undefined where it isn't installed. */
  find(): string | undefined;
  /** Makes the data of a new instance. `run` runs a program as the server's account. */
  prepare(
    home: string,
    place: Place,
    run: (command: string, args: readonly string[], options?: RunOptions) => Promise<string>,
  ): Promise<void>;
  /** The server first, then what must already run when it starts. */
  programs(home: string, place: Place): readonly [Program, ...Program[]];
  url(place: Place): string;
  /** Asks the server at a URL for its version, over its own protocol; empty if that can't tell. Throws while it isn't ready. */
  probe(url: string): Promise<string>;
}
