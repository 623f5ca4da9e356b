import { signedDraft } from '#core/certificate/entry.ts';
import { within } from '#core/errors.ts';
import { isAuditing, quorumOverlap, requireAuditor } from '#core/tlog/policy.ts';
import type { Policy } from '#core/tlog/policy.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { once } from '#ledger/meter-desk.ts';
import { enter, inInstallation, issuerKey, type RegisterOptions } from './entering.ts';
import { readPolicyFile } from './read-file.ts';

export interface PolicyOptions {
  /** A policy that can be met without an auditing witness is refused unless this is said. */
  readonly withoutAuditor?: boolean;
}

async function readAcceptable(
  file: string,
  { withoutAuditor = false }: PolicyOptions,
): Promise<{ text: string; policy: Policy }> {
  const read = await readPolicyFile(file);
  if (!withoutAuditor) within(file, () => requireAuditor(read.policy));
  return read;
}

function describe(policy: Policy): string {
  const { witnesses } = policy;
  const auditing = witnesses.filter(isAuditing).length;
  const overlap = quorumOverlap(policy);
  const lines = [`${witnesses.length} witnesses, ${auditing} of them auditing`];
  if (overlap === 0) lines.push('two quorums may share no witness: nobody need lie');
  else {
    const who = overlap === 1 ? 'one witness' : `${overlap} witnesses`;
    lines.push(`any two quorums share at least ${who}: so many must lie to show two histories`);
  }
  return `${lines.join('\n')}\n`;
}

/** `hourseal policy check`: Refused('policy') where it is none, or can do without an auditor. */
export async function checkPolicy(
  file: string,
  options: PolicyOptions,
  terminal: Terminal,
): Promise<number> {
  const { policy } = await readAcceptable(file, options);
  terminal.out(describe(policy));
  return exitCodes.verified;
}

/** `hourseal policy set`: enters it as the issuing body; it is in force from the next index on. */
export async function setPolicy(
  file: string,
  options: PolicyOptions & RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  const { text, policy } = await readAcceptable(file, options);
  return inInstallation(options, async (installation) => {
    const { origin } = await installation.ledger.settings();
    const spec = { policy: text, ...once(installation) };
    const signers = [await issuerKey(installation)];
    await enter(installation, [signedDraft({ kind: 'policy', origin, spec }, signers)], terminal);
    terminal.out(describe(policy));
  });
}
