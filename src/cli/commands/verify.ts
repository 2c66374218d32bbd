import { type VerifyReport, verifyBundle } from '../../compose/offline.ts';
import { isObject } from '../../lib/json.ts';
import { parseStrictJSON } from '../../lib/strict-json.ts';
import { limits } from '../../protocol/limits.ts';
import type { TrustFile } from '../../protocol/receipt.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit, UsageError } from '../exit.ts';
import { readJSON, readText } from '../input.ts';
import { paint, paintOut, printable, type Terminal, table } from '../terminal.ts';
import { jsonText } from './shared.ts';

/** `jsonflow verify` */
export async function verify(args: Args, terminal: Terminal): Promise<ExitCode> {
  const [file = '-'] = args.positionals;
  const trustPath = args.get('trust');
  const trust = trustPath === undefined ? undefined : await readTrust(trustPath, terminal);
  const report = verifyBundle(parsed(await readText(file, terminal)), trust === undefined ? {} : { trust });
  if (args.has('json')) terminal.out(jsonText(report));
  else print(report, terminal);
  if (!report.ok) return exit.verificationFailed;
  return report.pinned ? exit.ok : exit.notPinned;
}

/**
 * A bundle that is no JSON is bad evidence, not bad usage: a flipped bit may have made it so. Keys that stand twice would let two
 * readers see two different bundles.
 */
function parsed(text: string): unknown {
  try {
    return parseStrictJSON(text, limits.bundleDepthMax);
  } catch {
    return undefined;
  }
}

async function readTrust(path: string, terminal: Terminal): Promise<TrustFile> {
  const trust = await readJSON(path, terminal);
  if (!isObject(trust) || trust.jsonflow_trust !== 1 || !Array.isArray(trust.keys))
    throw new UsageError(`${JSON.stringify(path)} is no trust file`, 'Make one with "jsonflow keys > keys.json".');
  return trust as unknown as TrustFile;
}

function print(report: VerifyReport, terminal: Terminal): void {
  for (const { ok, name, detail } of report.checks)
    terminal.out(`${ok ? paintOut('green', '✔') : paintOut('red', '✘')} ${name}  ${printable(detail)}\n`);
  for (const { code, where, message } of report.problems)
    terminal.err(`${paint('red', code)} ${printable(`${where}: ${message}`)}\n`);
  if (report.signers.length > 0) {
    terminal.out('\nSigners\n');
    terminal.out(
      table(
        report.signers.map(({ node_id: node, key_id: key, receipts, trusted }) => [
          printable(node),
          key,
          `${receipts} receipt${receipts === 1 ? '' : 's'}`,
          report.pinned ? (trusted ? 'trusted' : 'NOT TRUSTED') : 'not pinned',
        ]),
        '  ',
      ),
    );
  }
  if (!report.ok) {
    terminal.err(
      `${paint('red', 'Verification failed.')}\nDo not rely on this bundle; ask for it again from a source that you trust.\n`,
    );
  } else if (report.pinned)
    terminal.out(`\n${paintOut('green', 'Verified.')} Run ${report.run_id}, ${report.status}.\n`);
  else
    terminal.err(
      '\nThe bundle is consistent, but signers are not pinned: anyone could have made it.\nCompare the fingerprints above, or give the keys that you trust with --trust KEYS.json.\n',
    );
}
