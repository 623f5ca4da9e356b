import { examineEvidence, plainSignatureCheck } from '#core/certificate/audit/audit-evidence.ts';
import { createEvidenceReader } from '#core/certificate/audit/audit-read.ts';
import { entryOf } from '#core/certificate/audit/audit-fetch.ts';
import type { LogState } from '#core/certificate/state/state.ts';
import { verifyJws } from '#core/jws.ts';
import type { LogFolder } from './log-folder.ts';
import type { EntryFault } from './log-store.ts';

/**
 * What the evidence in the folder shows to be wrong with bytes that somebody wants in the log
 * unchecked, in the words of every auditor: evidence that is not there too, for a `void` must say so.
 * The meter records of an hour that the ledger did not seal are nowhere, so such an hour is at fault
 * unless the rules alone refuse it.
 */
export async function faultOf(
  folder: Pick<LogFolder, 'read'>,
  { state, bytes }: { state: LogState; bytes: Uint8Array },
): Promise<EntryFault | undefined> {
  const reader = createEvidenceReader({
    read: folder.read,
    signatures: plainSignatureCheck,
    keyOf: () => undefined,
  });
  const files = await reader.fetch(entryOf(bytes));
  if (files === undefined) return undefined;
  const { fault, unusable } = examineEvidence(state, files, { records: [], verify: verifyJws });
  if (fault !== undefined || unusable === undefined) return fault;
  return { code: unusable.code, message: unusable.message };
}
