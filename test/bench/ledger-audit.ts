import { availableParallelism } from 'node:os';
import {
  auditWholeLog,
  type AuditLogOptions,
  type AuditReport,
} from '#core/certificate/audit/audit-log.ts';
import { readLogFiles } from '#core/certificate/audit/audit-files.ts';
import { advance } from '#core/certificate/fold.ts';
import { emptyState } from '#core/certificate/state/state.ts';
import { tileWidth } from '#core/tlog/tile.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { createHourThreads } from '#platform/hour-threads.ts';
import { folderLogReader } from '#platform/log-reader.ts';
import { createSignatureCheck } from '#platform/signature-check.ts';
import type { Say } from './figure.ts';
import type { Sealing } from './ledger-seal.ts';
import { verifyLimit } from './verify-limit.ts';

/** Auditing what was sealed (D7, row 7). */

/**
 * A message at the turn of an hour is a leaf of the batches of both hours: it is hashed and judged in
 * each, and its signature is verified once. So the audit with signatures, which is held against raw
 * verification, counts messages, and the one without counts leaves.
 */
export async function benchAudit(
  folder: string,
  { plants, hours, messagesPerHour }: Sealing,
  say: Say,
): Promise<void> {
  const messages = plants * hours * messagesPerHour;
  const log = `${messagesPerHour} an hour, ${messages} messages`;
  const verifies = await verifyLimit();
  const trusted = await timedAudit(folder, 'trust');
  const { report, seconds } = trusted;
  const replayed = await replay(folder, report.size);
  say({
    case: `entries replayed without signatures (${log})`,
    value: replayed,
    unit: '1/s',
    bar: 50_000,
  });
  say({
    case: `full audit without signatures, leaves (${log})`,
    value: report.leaves / seconds,
    unit: '1/s',
    limit: bareHashes(),
    bar: 300_000,
  });
  const verified = await timedAudit(folder, 'verify');
  say({
    case: `full audit with signatures, messages (${log})`,
    value: messages / verified.seconds,
    unit: '1/s',
    limit: verifies,
    bar: 0.7,
  });
}

async function timedAudit(
  folder: string,
  signatures: 'verify' | 'trust',
): Promise<{ report: AuditReport; seconds: number }> {
  const startedAt = performance.now();
  const threads = createHourThreads();
  try {
    const report = await wholeAudit(folder, {
      signatures: signatures === 'trust' ? signatures : createSignatureCheck(),
      prover: threads.proverOf({ folder }, signatures),
    });
    if (report.findings.length > 0) throw new Error('the audit of the bench found something');
    return { report, seconds: (performance.now() - startedAt) / 1000 };
  } finally {
    await threads.close();
  }
}

/** As `hourseal log audit`, its threads and their start included where the log is long enough for them. */
async function wholeAudit(
  folder: string,
  how: Pick<AuditLogOptions, 'signatures' | 'prover'>,
): Promise<AuditReport> {
  const steps = auditWholeLog({ read: folderLogReader(folder), ...how });
  for (;;) {
    const next = await steps.next();
    if (next.done === true) return next.value;
  }
}

/** The rules alone, from the entry bundles. */
async function replay(path: string, size: number): Promise<number> {
  const files = readLogFiles(folderLogReader(path));
  const state = emptyState();
  const startedAt = performance.now();
  for (let index = 0; index * tileWidth < size; index++) {
    for (const data of await files.entries(index, size))
      advance(state, data, { signatures: 'trust' });
  }
  return (size / (performance.now() - startedAt)) * 1000;
}

/** Leaf hashes a second, of messages as long as those of this bench, on all cores. */
function bareHashes(): number {
  const data = new Uint8Array(450);
  const count = 200_000;
  const startedAt = performance.now();
  for (let i = 0; i < count; i++) leafHash(data);
  return (count / (performance.now() - startedAt)) * 1000 * availableParallelism();
}
