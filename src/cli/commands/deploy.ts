import type { DeploymentStatus } from '../../compose/offline.ts';
import type { Args } from '../command.ts';
import { type ExitCode, exit } from '../exit.ts';
import { readText } from '../input.ts';
import { oneLine, type Terminal, table } from '../terminal.ts';
import { clientOf, jsonText } from './shared.ts';

/** `jsonflow deploy` */
export async function deploy(args: Args, terminal: Terminal): Promise<ExitCode> {
  const [file = '-'] = args.positionals;
  const deployed = await (await clientOf(args, terminal)).deploy(await readText(file, terminal));
  if (args.has('json')) terminal.out(jsonText(deployed));
  else {
    const triggers = deployed.triggers.map(({ id }) => oneLine(id)).join(', ');
    terminal.out(
      `${oneLine(deployed.workflow)} is deployed, digest ${oneLine(deployed.workflow_digest)}. Triggers: ${triggers}.\n`,
    );
  }
  return exit.ok;
}

/** `jsonflow deployments` */
export async function deployments(args: Args, terminal: Terminal): Promise<ExitCode> {
  const all = await (await clientOf(args, terminal)).deployments();
  if (args.has('json')) terminal.out(jsonText(all));
  else
    terminal.out(
      table([
        ['WORKFLOW', 'TENANT', 'TRIGGER', 'STATE', 'RUNS', 'REPEATED', 'REJECTED', 'WHY'],
        ...all.flatMap(rowsOf),
      ]),
    );
  return exit.ok;
}

const rowsOf = ({ workflow, tenant_id, triggers }: DeploymentStatus): string[][] =>
  triggers.map((trigger) => [
    oneLine(workflow),
    oneLine(tenant_id ?? '-'),
    oneLine(trigger.id),
    oneLine(trigger.state),
    String(trigger.runs_started),
    String(trigger.messages_repeated),
    String(trigger.messages_rejected),
    oneLine(trigger.why ?? ''),
  ]);

/** `jsonflow undeploy` */
export async function undeploy(args: Args, terminal: Terminal): Promise<ExitCode> {
  const [name = ''] = args.positionals;
  await (await clientOf(args, terminal)).undeploy(name, args.get('tenant'));
  if (args.has('json')) terminal.out(jsonText({ workflow: name }));
  else terminal.out(`${oneLine(name)} is not deployed any more; its runs go on.\n`);
  return exit.ok;
}
