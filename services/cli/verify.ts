import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { verifyProof, type Verdict } from '#core/certificate/verify.ts';
import { proofLimitBytes } from '#core/certificate/proof.ts';
import type { Step } from '#core/certificate/ladder.ts';
import { decodeUtf8 } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import { parsePolicy, policyLimitBytes, type Policy } from '#core/tlog/policy.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';

export interface VerifyOptions {
  readonly policy?: string;
  readonly json?: boolean;
}

/** `hourseal verify`: the nine steps for each file; the exit code is the worst of all files. */
export async function verifyFiles(
  files: readonly string[],
  { policy: policyFile, json = false }: VerifyOptions,
  terminal: Terminal,
): Promise<number> {
  const policy = policyFile === undefined ? undefined : await readPolicy(policyFile);
  let worst: number = exitCodes.verified;
  for (const file of files) {
    const verdict = await verifyFile(file, policy);
    if (json) terminal.out(`${JSON.stringify({ file, ...verdict })}\n`);
    else terminal.out(`${describe(file, verdict, terminal)}\n`);
    worst = worse(worst, exitCodes[verdict.result]);
  }
  return worst;
}

/** Failed outweighs undecided, which outweighs verified. */
function worse(a: number, b: number): number {
  const order: readonly number[] = [exitCodes.verified, exitCodes.undecided, exitCodes.failed];
  return order.indexOf(b) > order.indexOf(a) ? b : a;
}

async function readPolicy(file: string): Promise<Policy> {
  return parsePolicy(decodeUtf8(await readLimited(file, policyLimitBytes)));
}

async function verifyFile(file: string, policy: Policy | undefined): Promise<Verdict> {
  const bytes = await readLimited(file, proofLimitBytes);
  return verifyProof(bytes, policy === undefined ? {} : { policy });
}

/** Refused('unreadable') with one line; files above the limit are not even opened. */
async function readLimited(file: string, limitBytes: number): Promise<Uint8Array> {
  try {
    const { size } = await stat(file);
    if (size > limitBytes) {
      throw new Refused('unreadable', `${file}: ${size} bytes, at most ${limitBytes} are read`);
    }
    return await readFile(file);
  } catch (cause) {
    if (cause instanceof Refused) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Refused('unreadable', `${file}: cannot be read (${reason})`, { cause });
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

function describe(file: string, { result, steps, bundle }: Verdict, terminal: Terminal): string {
  const { green, red, amber, bold, faint } = terminal.style;
  const marks = { pass: green('✓ pass   '), fail: red('✗ fail   '), unknown: amber('? unknown') };
  const heading = bundle === undefined ? '' : ` ${bundle.series} ${bundle.from} to ${bundle.to}`;
  const lines = steps.map(
    ({ number, name, result: found, reason }) =>
      `  ${number} ${marks[found]} ${stepTitles[name].padEnd(38)} ${faint(reason)}`,
  );
  const summary = {
    verified: green('verified: every step passed'),
    failed: red('failed: do not rely on this certificate'),
    undecided: amber('nothing failed, but not everything can be decided'),
  };
  return [`${bold(basename(file))}${heading}`, ...lines, `  ${summary[result]}`].join('\n');
}
