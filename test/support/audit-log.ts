import { auditWholeLog, type AuditReport } from '#core/certificate/audit/audit-log.ts';
import type { Policy } from '#core/tlog/policy.ts';
import { folderLogReader } from '#platform/log-reader.ts';
import { createSignatureCheck } from '#platform/signature-check.ts';

/** Audits the files of a log to the end; `trust` believes every signature, for measuring. */
export async function auditLog(
  folder: string,
  {
    signatures = 'verify',
    policy,
  }: { readonly signatures?: 'verify' | 'trust'; readonly policy?: Policy } = {},
): Promise<AuditReport> {
  const steps = auditWholeLog({
    read: folderLogReader(folder),
    signatures: signatures === 'trust' ? signatures : createSignatureCheck(),
    policy,
  });
  for (;;) {
    const next = await steps.next();
    if (next.done === true) return next.value;
  }
}
