import { decodeUtf8 } from '#core/bytes.ts';
import { encodeProof, type IncludedLeaf } from '#core/certificate/proof.ts';
import { parseMeterRecord } from '#core/energy/meter-record.ts';
import { signCheckpoint } from '#core/tlog/checkpoint.ts';
import { noteSigner } from '#core/tlog/note.ts';
import { inclusionPath, leafHash, treeRoot } from '#core/tlog/tree.ts';
import { testKey, testOrigin } from './log-builder.ts';
import type { Sealed } from './worked-hours.ts';

/** What the rules consult for the certificate: nothing of the mill, whose meters prove nothing here. */
const consulted = [0, 1, 2, 4, 6, 8, 10, 12];
const issuingIndex = 10;

/**
 * The proof file of the units 1 to 400 of the worked log's first hour, which were cancelled, under
 * the checkpoint of the size that `entries` has.
 */
export function workedProof(
  entries: readonly Uint8Array[],
  { leaves, messages, records }: Sealed,
): Uint8Array {
  const ends = records
    .flatMap((bytes) => parseMeterRecord(bytes).segments)
    .flatMap(({ first, last }) => [first, last])
    .flatMap((end) => ('leaf' in end ? [end.leaf] : []));
  const root = treeRoot(entries.map(leafHash));
  const checkpoint = signCheckpoint({ origin: testOrigin, size: entries.length, root }, [
    noteSigner(testOrigin, testKey('log')),
  ]);
  return encodeProof({
    bundle: { series: 'energy/solar', from: 1, to: 400 },
    checkpoint: decodeUtf8(checkpoint),
    entries: includedIn(entries).filter(({ index }) => consulted.includes(index)),
    hour: issuingIndex,
    messages: includedIn(leaves)
      .filter(({ index }) => ends.includes(index))
      .flatMap(({ index, path }) => {
        const message = messages[index];
        if (message === undefined) return [];
        return [{ index, path, jws: decodeUtf8(message.bytes), receivedAt: message.receivedAt }];
      }),
    records: includedIn(records),
  });
}

/** Every leaf with its path, in a tree of these leaves alone. */
function includedIn(leaves: readonly Uint8Array[]): IncludedLeaf[] {
  const hashes = leaves.map(leafHash);
  return leaves.map((data, index) => ({ data, index, path: inclusionPath(hashes, index) }));
}
