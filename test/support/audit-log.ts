import { auditFolder, type AuditReport } from '#ledger/audit.ts';
import { openLogFolder } from '#ledger/log-folder.ts';

/** Audits the files of a log to the end. */
export async function auditLog(folder: string): Promise<AuditReport> {
  const steps = auditFolder(openLogFolder(folder));
  for (;;) {
    const next = await steps.next();
    if (next.done === true) return next.value;
  }
}
