import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { verifyProof, type Verdict } from '#core/certificate/verify.ts';
import { proofLimitBytes } from '#core/certificate/proof.ts';
import { printable, type Step } from '#core/certificate/ladder.ts';
import { concat, decodeUtf8 } from '#core/bytes.ts';
import { Refused, within } from '#core/errors.ts';
import { parsePolicy, policyLimitBytes, type Policy } from '#core/tlog/policy.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';

export interface VerifyOptions {
  readonly policy?: string;
  readonly json?: boolean;
}

/**
 * `hourseal verify`: the nine steps for each file. A file that cannot be read does not keep the others
 * from being checked; the exit code is the worst of all. Refused('unreadable' | 'policy') when the
 * policy is not one, before any file is looked at.
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
    worst = worse(worst, exitCodes[found.result]);
  }
  return worst;
}

/** What failed outweighs what cannot be read, that what is undecided, and that what is verified. */
function worse(a: number, b: number): number {
  const { verified, undecided, unreadable, failed } = exitCodes;
  const order: readonly number[] = [verified, undecided, unreadable, failed];
  return order.indexOf(b) > order.indexOf(a) ? b : a;
}

async function readPolicy(file: string): Promise<Policy> {
  const bytes = await readLimited(file, policyLimitBytes);
  try {
    return within(file, () => parsePolicy(decodeUtf8(bytes)));
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Refused(cause.code, printable(cause.message), { cause });
  }
}

interface Unreadable {
  readonly result: 'unreadable';
  readonly reason: string;
}

async function verifyFile(file: string, policy: Policy | undefined): Promise<Verdict | Unreadable> {
  try {
    const bytes = await readLimited(file, proofLimitBytes);
    return verifyProof(bytes, policy === undefined ? {} : { policy });
  } catch (error) {
    if (error instanceof Refused) return { result: 'unreadable', reason: error.message };
    throw error;
  }
}

/**
 * Refused('unreadable') with one line. Never more than the limit is read, so that a pipe or a device,
 * whose size nobody can tell beforehand, costs no more than a file.
 */
async function readLimited(file: string, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    const stream = createReadStream(file, { end: limitBytes });
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      length += chunk.length;
    }
  } catch (cause) {
    throw new Refused('unreadable', `${file}: ${whyUnreadable(cause)}`, { cause });
  }
  if (length > limitBytes) {
    throw new Refused('unreadable', `${file}: more than the ${limitBytes} bytes that are read`);
  }
  return concat(...chunks);
}

function whyUnreadable(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EISDIR') return 'a directory, not a file';
  return `cannot be read (${cause instanceof Error ? cause.message : String(cause)})`;
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

/** Of a file without its right form there is nothing more to say than why. */
function shownSteps(steps: readonly Step[]): readonly Step[] {
  return steps[0]?.result === 'fail' ? steps.slice(0, 1) : steps;
}

function describe(file: string, { result, steps, bundle }: Verdict, terminal: Terminal): string {
  const { green, red, amber, bold, faint } = terminal.style;
  const marks = { pass: green('✓ pass   '), fail: red('✗ fail   '), unknown: amber('? unknown') };
  const heading = bundle === undefined ? '' : ` ${bundle.series} ${bundle.from} to ${bundle.to}`;
  const lines = shownSteps(steps).map(
    ({ number, name, result: found, reason }) =>
      `  ${number} ${marks[found]} ${stepTitles[name].padEnd(38)} ${faint(reason)}`,
  );
  const summary = {
    verified: green('verified: every step passed'),
    failed: red('failed: do not rely on this certificate'),
    undecided: amber('nothing failed, but not everything can be decided'),
  };
  return [`${bold(printable(basename(file)))}${heading}`, ...lines, `  ${summary[result]}`].join(
    '\n',
  );
}
