import type { JSONObject } from '../../../lib/json.ts';
import type { ExchangeHandlers, Run, Wire } from './exchange.ts';

/** Statements of which one gives rows that are read in batches. */
export interface Reading {
  readonly before: readonly Run[];
  readonly main: Run;
  readonly after: readonly Run[];
  /** Rows at once. */
  readonly batch: number;
}

type RunExchange = (send: (wire: Wire, sync: () => void) => void, on: ExchangeHandlers) => Promise<void>;
type Take = (rows: JSONObject[]) => Promise<void>;

/**
 * Runs `before`, then reads the rows of `main` through its portal, then runs `after`. The server makes the next rows only when `take` has
 * taken the last ones.
 */
export async function readRows(exchange: RunExchange, reading: Reading, take: Take): Promise<void> {
  const { before, main, after, batch } = reading;
  if (main.prepared.brief === true && (await readAtOnce(exchange, reading, take))) return;
  let position = 0;
  let batches = 0;
  let rows: JSONObject[] = [];
  let next = Promise.withResolvers<{ rows: JSONObject[]; more: Wire | undefined }>();
  let sync = (): void => undefined;
  const ended = exchange(
    (wire, syncOnce) => {
      sync = syncOnce;
      for (const { prepared, values } of [...before, main]) {
        wire.bind({ statement: prepared.name, values });
        wire.execute(prepared === main.prepared ? { rows: batch } : {});
      }
      wire.flush();
    },
    {
      row: (cells) => {
        if (position === before.length) rows.push(main.prepared.row(cells));
      },
      suspended: (wire) => next.resolve({ rows, more: wire }),
      complete: (_tag, wire) => {
        position += 1;
        if (position !== before.length + 1) return;
        finish(wire, after, sync);
        next.resolve({ rows, more: undefined });
      },
    },
  );
  ended.catch((thrown) => next.reject(thrown));
  for (;;) {
    const { rows: taken, more } = await next.promise;
    main.prepared.brief = more === undefined && batches === 0;
    batches += 1;
    rows = [];
    next = Promise.withResolvers();
    next.promise.catch(() => undefined);
    try {
      await take(taken);
    } catch (thrown) {
      // Nothing was promised to the server: it rolls back when it is told to go on.
      if (more !== undefined) sync();
      await ended.catch(() => undefined);
      throw thrown;
    }
    if (more === undefined) break;
    more.execute({ rows: batch });
    more.flush();
  }
  await ended;
}

/**
 * The same with `after` sent along, which spares a round trip.
 * @returns false where there are more rows than a batch: nothing was taken then, and it has to be read again
 */
async function readAtOnce(
  exchange: RunExchange,
  { before, main, after, batch }: Reading,
  take: Take,
): Promise<boolean> {
  let position = 0;
  const rows: JSONObject[] = [];
  await exchange(
    (wire, sync) => {
      for (const one of [...before, main, ...after]) {
        wire.bind({ statement: one.prepared.name, values: one.values });
        wire.execute(one === main ? { rows: batch } : {});
      }
      sync();
    },
    {
      row: (cells) => {
        if (position === before.length) rows.push(main.prepared.row(cells));
      },
      suspended: () => {
        main.prepared.brief = false;
        position += 1;
      },
      complete: () => {
        position += 1;
      },
    },
  );
  if (main.prepared.brief !== true) return false;
  await take(rows);
  return true;
}

function finish(wire: Wire, after: readonly Run[], sync: () => void): void {
  wire.stream.cork();
  for (const { prepared, values } of after) {
    wire.bind({ statement: prepared.name, values });
    wire.execute({});
  }
  sync();
  wire.stream.uncork();
}
