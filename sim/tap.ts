import { canonicalize } from '../src/lib/canonical.ts';
import { sha256 } from '../src/lib/hash.ts';
import type { JSONObject } from '../src/lib/json.ts';
import type { Packet } from '../src/ports/transport.ts';
import type { MessageOf } from '../src/protocol/messages.ts';
import type { SimLink } from './link.ts';
import type { Tap } from './network.ts';
import type { SeededRandom } from './random.ts';
import type { World } from './world.ts';

/** Messages whose loss is worth more than that of others. */
const nastyKinds: ReadonlySet<string> = new Set([
  'challenge',
  'proof',
  'welcome',
  'assign',
  'result',
  'ack',
  'checkpoint',
  'checkpoint.saved',
  'cancel',
  'blob.stored',
]);

/** Looks at every packet as it is sent: holds promises against the disk, lets a liar lie, and picks nasty moments. */
export function watchPackets(world: World, random: SeededRandom): Tap {
  return (link, from, packet) => {
    const { message } = packet;
    if (nastyKinds.has(message.kind)) world.faults.atMessage(() => link.break(`after ${message.kind}`));
    const passed = from === 'coordinator' ? fromCoordinator(world, link, packet) : packet;
    return isLying(world, link, random) ? lie(world, link, passed, random) : passed;
  };
}

function fromCoordinator({ journal }: World, { worker }: SimLink, packet: Packet): Packet {
  const { message } = packet;
  switch (message.kind) {
    case 'assign':
      journal.sentAssign(worker, message.assignment);
      break;
    case 'ack':
      if (message.accepted) journal.sentAck(worker, message);
      break;
    case 'checkpoint.saved':
      journal.sentSaved(worker, message);
      break;
    default:
      break;
  }
  return packet;
}

function isLying({ conditions, faults, workerNameAt }: World, { worker }: SimLink, random: SeededRandom): boolean {
  const { liar, lies } = conditions;
  return faults.active && liar !== undefined && workerNameAt(liar) === worker && random.chance(lies);
}

function lie(world: World, link: SimLink, packet: Packet, random: SeededRandom): Packet {
  const { message } = packet;
  if (message.kind === 'assign' || message.kind === 'result') world.effects.liars.add(link.worker);
  if (message.kind === 'assign') {
    world.report.log(`lie: ${link.worker} runs ${message.assignment.step_id} with other params`);
    return { message: otherParams(message) };
  }
  if (message.kind !== 'result') return packet;
  const kind = random.pick(['output', 'signature', 'digest'] as const);
  world.report.log(`lie: ${link.worker} sends a result with another ${kind}`);
  return { message: falsified(message, kind) };
}

/** Whoever relays to the worker changes what it works on, so that its receipt is sound, but for another input. */
function otherParams({ assignment }: MessageOf<'assign'>): MessageOf<'assign'> {
  if (!('value' in assignment.params)) return { kind: 'assign', assignment };
  const value = { ...(assignment.params.value as JSONObject), salt: -1 };
  return {
    kind: 'assign',
    assignment: { ...assignment, params: { value }, input_digest: sha256(canonicalize(value)) },
  };
}

function falsified(result: MessageOf<'result'>, kind: 'output' | 'signature' | 'digest'): MessageOf<'result'> {
  const output = { value: { value: 'a lie' } };
  if (kind === 'output') return { ...result, output };
  if (kind === 'digest') return { ...result, output, output_digest: sha256(canonicalize(output.value)) };
  const [signature] = result.envelope.signatures;
  const sig = Buffer.from(signature?.sig ?? '', 'base64');
  sig[7] = (sig[7] ?? 0) ^ 1;
  const signatures = [{ keyid: signature?.keyid ?? '', sig: sig.toString('base64') }];
  return { ...result, envelope: { ...result.envelope, signatures } };
}
