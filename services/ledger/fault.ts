import { openBatch, judgeHourEvidence } from '#core/certificate/evidence.ts';
import { openingPath, parseOpening, privateBatchPath } from '#core/certificate/commitment.ts';
import { parseEntry, type Entry } from '#core/certificate/entry.ts';
import { specOf } from '#core/certificate/kinds.ts';
import type { LogState } from '#core/certificate/state.ts';
import { batchPath } from '#core/energy/batch.ts';
import { Refused } from '#core/errors.ts';
import type { LogFolder } from './log-folder.ts';
import type { EntryFault } from './log-store.ts';

/**
 * What the evidence in the folder shows to be wrong with bytes that somebody wants in the log
 * unchecked. Only hours have evidence; the meter records of one that the ledger did not seal are
 * nowhere, so such an hour is at fault unless the rules alone refuse it.
 */
export async function faultOf(
  folder: LogFolder,
  { state, bytes }: { state: LogState; bytes: Uint8Array },
): Promise<EntryFault | undefined> {
  try {
    const entry = parseEntry(bytes);
    if (entry.kind !== 'hour' && entry.kind !== 'hour-correction') return undefined;
    const spec = specOfHour(entry);
    const committed = 'commitment' in spec;
    const path = committed ? privateBatchPath(spec.batchRoot) : batchPath(spec.batchRoot);
    const file = await folder.read(path);
    if (file === undefined) return { code: 'batch', message: 'there is no batch file' };
    const opened = committed ? await folder.read(openingPath(spec.commitment)) : undefined;
    const opening = opened && parseOpening(opened);
    const records = opening?.records ?? [];
    return judgeHourEvidence(state, spec, { batch: openBatch(file), records, opening });
  } catch (error) {
    // Bytes that are not even an entry: the fold says so itself.
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

function specOfHour(entry: Entry) {
  return entry.kind === 'hour'
    ? specOf.hour.parse(entry.spec)
    : specOf['hour-correction'].parse(entry.spec);
}
