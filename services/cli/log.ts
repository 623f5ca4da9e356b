import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { Refused } from '#core/errors.ts';
import type { SignatureCheck } from '#core/certificate/audit/audit-evidence.ts';
import type { AuditProgress } from '#core/certificate/audit/audit.ts';
import { auditWholeLog, type AuditReport } from '#core/certificate/audit/audit-log.ts';
import type { AuditFinding } from '#core/certificate/audit/audit-replay.ts';
import type { StateStore } from '#core/certificate/state/state-store.ts';
import { createHourThreads, type HourThreads } from '#platform/hour-threads.ts';
import { folderLogReader } from '#platform/log-reader.ts';
import { createSignatureCheck } from '#platform/signature-check.ts';
import { openStateStore } from '#platform/state-store.ts';
import { places } from '#standalone/data-folder.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { readPolicy } from './read-file.ts';

/** The folder with the log's static files: a data folder's `log`, or an exported log itself. */
export function logFolderOf(data: string): string {
  for (const folder of [places(data).log, data]) {
    if (existsSync(join(folder, 'checkpoint'))) return folder;
  }
  throw new Refused('log', `${data}: no published log is there (no checkpoint)`);
}

/** Evidence of committed sites is for their owner, the regulator and auditing witnesses (D3.3). */
const privateFolder = 'private';

/**
 * `hourseal log export`: copies what everybody may read. The checkpoint is copied first and put in place
 * last: what it covers was there before it, and a copy cut short is not a log.
 */
export async function exportLog(
  { data, to }: { data: string; to: string },
  terminal: Terminal,
): Promise<number> {
  const from = logFolderOf(data);
  if (existsSync(to) && (await readdir(to)).length > 0) {
    throw new Refused('folder', `${to} is not empty`);
  }
  await mkdir(to, { recursive: true });
  const pending = join(to, '.checkpoint');
  await cp(join(from, 'checkpoint'), pending);
  const isPublished = (source: string): boolean => {
    const name = relative(from, source);
    const isTemporary = basename(name).startsWith('.');
    return name === '' || !(isTemporary || name === 'checkpoint' || name === privateFolder);
  };
  await cp(from, to, { recursive: true, filter: isPublished });
  await cp(pending, join(to, 'checkpoint'));
  terminal.out(`${to}: check it with  npx hourseal log audit --data ${to}\n`);
  return exitCodes.verified;
}

/** At most this many findings are printed; a log that is wrong is wrong after the first. */
const findingsShown = 20;

export interface AuditFlags {
  readonly data: string;
  readonly json?: boolean;
  /** Every meter's signature, which takes most of the time. */
  readonly messages?: boolean;
  /** A policy file: its quorum must have cosigned. */
  readonly policy?: string;
}

/** The messages' content is recomputed all the same; who signed it is then the log's word. */
const trustMessages: SignatureCheck = { ahead: () => Promise.resolve(), verify: () => undefined };

/**
 * `hourseal log audit`: from files alone. Ends with 0 when the log is right and 1 when it is not; an
 * hour whose evidence is not public (a committed site's, in an exported log) is counted, not judged.
 */
export async function auditLog(
  { data, json = false, messages = false, policy: policyFile }: AuditFlags,
  terminal: Terminal,
): Promise<number> {
  const folder = logFolderOf(data);
  const policy = policyFile === undefined ? undefined : await readPolicy(policyFile);
  const signatures = messages ? createSignatureCheck() : trustMessages;
  const read = folderLogReader(folder);
  const say = ({ entries, size }: AuditProgress): void => {
    if (!json && size > progressFrom) terminal.err(`\r${entries} of ${size} entries `);
  };
  const report = await withThreads((threads) =>
    withScratchStore((store) => {
      const prover = threads.proverOf({ folder }, messages ? 'verify' : 'trust');
      return audited(auditWholeLog({ read, signatures, prover, policy, store }), say);
    }),
  );
  if (typeof report === 'string') {
    terminal.out(`${json ? JSON.stringify({ error: report }) : `the log is wrong: ${report}`}\n`);
    return exitCodes.failed;
  }
  if (json) terminal.out(`${JSON.stringify(report)}\n`);
  else terminal.out(describeAudit(report, { messages, policy: policyFile ?? '' }, terminal));
  return report.findings.length === 0 ? exitCodes.verified : exitCodes.failed;
}

async function withThreads<T>(work: (threads: HourThreads) => Promise<T>): Promise<T> {
  const threads = createHourThreads();
  try {
    return await work(threads);
  } finally {
    await threads.close();
  }
}

/** What is known of a long log does not fit into memory; nobody needs it when the audit is done. */
async function withScratchStore<T>(work: (store: StateStore) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'hourseal-audit-'));
  try {
    const store = await openStateStore(folder);
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The report; or, where not even checkpoint and genesis hold together, what is wrong with them. */
async function audited(
  audit: AsyncGenerator<AuditProgress, AuditReport>,
  onProgress: (progress: AuditProgress) => void,
): Promise<AuditReport | string> {
  try {
    for (;;) {
      const turn = await audit.next();
      if (turn.done === true) return turn.value;
      onProgress(turn.value);
    }
  } catch (error) {
    if (error instanceof Refused) return `checkpoint and genesis: ${error.message}`;
    throw error;
  }
}

/** A small log is audited before anybody wonders how far it is. */
const progressFrom = 10_000;

function describeAudit(
  report: AuditReport,
  { messages, policy }: { messages: boolean; policy: string },
  { style }: Terminal,
): string {
  const { origin, root, entries, hours, leaves, voided, withheld, openChains, findings } = report;
  const lines = [
    style.bold(`${origin}, ${entries} entries, root ${root}`),
    `  ${hours} hours and corrections recomputed from ${leaves} signed messages; ${voided} entries are void, and said to be`,
  ];
  if (!messages) lines.push("  the meters' signatures were not checked: --messages does that");
  if (policy === '') lines.push('  no quorum was asked for: --policy FILE says whom you trust');
  else if (findings.length === 0) lines.push(`  the checkpoint has the quorum of ${policy}`);
  if (withheld > 0)
    lines.push(style.amber(`  ${withheld} hours of committed sites: their evidence is not here`));
  if (openChains > 0) {
    lines.push(style.amber(`  ${openChains} receipt chains rest on messages that are not here`));
  }
  lines.push(
    ...findings.slice(0, findingsShown).map((finding) => `  ${describeFinding(finding, style)}`),
  );
  lines.push(
    findings.length === 0
      ? `  ${style.green('the log is right')}`
      : `  ${style.red(`the log is wrong: ${findings.length} findings`)}`,
  );
  return `${lines.join('\n')}\n`;
}

function describeFinding(
  { index, code, message }: AuditFinding,
  { red }: Terminal['style'],
): string {
  const where = index === undefined ? 'the log' : `entry ${index}`;
  return red(`${where}: ${code}: ${message}`);
}
