import { basename } from 'node:path';
import type {
  EvidenceVerdict,
  EvidenceStepName,
} from '#core/certificate/misbehaviour/evidence-verdict.ts';
import { evidenceLimitBytes, meansEvidence } from '#core/certificate/misbehaviour/misbehaviour.ts';
import { verifyMisbehaviour } from '#core/certificate/misbehaviour/verify-misbehaviour.ts';
import { verifyProof, type Verdict } from '#core/certificate/proof/verify.ts';
import { proofLimitBytes } from '#core/certificate/proof/proof.ts';
import { printable, type Step, type StepResult } from '#core/certificate/proof/ladder.ts';
import { Refused } from '#core/errors.ts';
import type { Policy } from '#core/tlog/policy.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { readLimited, readPolicy } from './read-file.ts';

export interface VerifyOptions {
  readonly policy?: string;
  readonly json?: boolean;
}

/**
 * `hourseal verify`: the nine steps for each proof file, and those of evidence for an evidence file. A
 * file that cannot be read does not keep the others from being checked; the exit code is the worst of
 * all. Of evidence, 0 says that it is proved: what it says of somebody is the bad news, not the file.
 * Refused('unreadable' | 'policy') when the policy is not one, before any file is looked at.
 */
export async function verifyFiles(
  files: readonly string[],
  { policy: policyFile, json = false }: VerifyOptions,
  terminal: Terminal,
): Promise<number> {
  const policy = policyFile === undefined ? undefined : await readPolicy(policyFile);
  let worst: number = exitCodes.verified;
  for (const file of files) {
    const found = await verifyFile(file, policy);
    if (json) terminal.out(`${JSON.stringify({ file, ...found })}\n`);
    else if (found.result === 'unreadable') terminal.err(`hourseal: ${printable(found.reason)}\n`);
    else terminal.out(`${describe(file, found, terminal)}\n`);
    worst = worse(worst, codeOf(found));
  }
  return worst;
}

function codeOf({ result }: Found): number {
  if (result === 'proved') return exitCodes.verified;
  return result === 'unproved' ? exitCodes.failed : exitCodes[result];
}

/** What failed outweighs what cannot be read, that what is undecided, and that what is verified. */
function worse(a: number, b: number): number {
  const { verified, undecided, unreadable, failed } = exitCodes;
  const order: readonly number[] = [verified, undecided, unreadable, failed];
  return order.indexOf(b) > order.indexOf(a) ? b : a;
}

interface Unreadable {
  readonly result: 'unreadable';
  readonly reason: string;
}

type Found = Verdict | EvidenceVerdict | Unreadable;

const fileLimitBytes = Math.max(proofLimitBytes, evidenceLimitBytes);

async function verifyFile(file: string, policy: Policy | undefined): Promise<Found> {
  try {
    const bytes = await readLimited(file, fileLimitBytes);
    const trusting = policy === undefined ? {} : { policy };
    return meansEvidence(bytes)
      ? verifyMisbehaviour(bytes, trusting)
      : verifyProof(bytes, trusting);
  } catch (error) {
    if (error instanceof Refused) return { result: 'unreadable', reason: error.message };
    throw error;
  }
}

const stepTitles: Readonly<Record<Step['name'], string>> = {
  form: 'form and sum',
  checkpoint: 'checkpoint signed by the log',
  quorum: 'quorum of witnesses',
  entries: 'every entry in the log',
  evidence: 'messages and meter records in the hour',
  signatures: "signed by the meters' own keys",
  energy: 'energy is what the registers say',
  issue: 'issued by that hour, within it',
  life: 'life and present owner',
};

const evidenceTitles: Readonly<Record<EvidenceStepName, string>> = {
  form: 'form and sum',
  first: 'first checkpoint signed',
  second: 'second checkpoint signed',
  checkpoint: 'checkpoint signed by the log',
  entries: 'every entry in the log',
  receipt: 'receipt signed by an ingestion key',
  record: "meter record in the hour's entry",
  contradiction: 'they cannot both be true',
  accused: 'by somebody whom you know',
};

/** Of a file without its right form there is nothing more to say than why. */
function shownSteps<T extends { readonly result: StepResult }>(steps: readonly T[]): readonly T[] {
  return steps[0]?.result === 'fail' ? steps.slice(0, 1) : steps;
}

function describeSteps<Name extends string>(
  steps: readonly Step<Name>[],
  titles: Readonly<Record<Name, string>>,
  { green, red, amber, faint }: Terminal['style'],
): string[] {
  const marks = { pass: green('✓ pass   '), fail: red('✗ fail   '), unknown: amber('? unknown') };
  return shownSteps(steps).map(
    ({ number, name, result, reason }) =>
      `  ${number} ${marks[result]} ${titles[name].padEnd(38)} ${faint(reason)}`,
  );
}

function describe(file: string, found: Verdict | EvidenceVerdict, { style }: Terminal): string {
  const title = style.bold(printable(basename(file)));
  if ('claim' in found) return describeEvidence(title, found, style);
  const { result, steps, bundle } = found;
  const heading = bundle === undefined ? '' : ` ${bundle.series} ${bundle.from} to ${bundle.to}`;
  const summary = {
    verified: style.green('verified: every step passed'),
    failed: style.red('failed: do not rely on this certificate'),
    undecided: style.amber('nothing failed, but not everything can be decided'),
  };
  const lines = describeSteps(steps, stepTitles, style);
  return [`${title}${heading}`, ...lines, `  ${summary[result]}`].join('\n');
}

function describeEvidence(
  title: string,
  { kind, result, steps, claim }: EvidenceVerdict,
  style: Terminal['style'],
): string {
  const said = printable(claim ?? '');
  const summary = {
    proved: style.red(`PROVED: ${said}`),
    unproved: style.amber('this file proves nothing against anybody'),
    undecided: style.amber(`proved against the keys in the file alone (see --policy): ${said}`),
  };
  const heading = kind === undefined ? '' : ` evidence: ${kind}`;
  const lines = describeSteps(steps, evidenceTitles, style);
  return [`${title}${heading}`, ...lines, `  ${summary[result]}`].join('\n');
}
