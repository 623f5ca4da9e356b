import { toHex } from '../../bytes.ts';
import { parseMessageLeaf } from '../../energy/batch.ts';

export type ParsedLeaf = ReturnType<typeof parseMessageLeaf>;

/** As `parseMessageLeaf`, of a leaf whose hash is known already. */
export type LeafParser = (leaf: Uint8Array, hash: Uint8Array) => ParsedLeaf;

/** Of the leaves that are remembered; parsed they take a few times as much. */
export const leafMemoryLimitBytes = 4 * 1024 * 1024;

/**
 * Parses each message once where it is met again soon: one at the turn of an hour stands in the
 * batches of both, and one that brackets silence in more. The last ones parsed are kept, by their hash.
 */
export function createLeafMemory(limitBytes = leafMemoryLimitBytes): LeafParser {
  const known = new Map<string, { readonly parsed: ParsedLeaf; readonly bytes: number }>();
  let knownBytes = 0;

  const forgetOldest = (): void => {
    for (const [oldest, { bytes }] of known) {
      known.delete(oldest);
      knownBytes -= bytes;
      if (knownBytes <= limitBytes) break;
    }
  };

  return (leaf, hash) => {
    const name = toHex(hash);
    const found = known.get(name);
    if (found !== undefined) return found.parsed;
    // Of its own bytes, or one message would keep the file around it in memory.
    const parsed = parseMessageLeaf(leaf.slice());
    known.set(name, { parsed, bytes: leaf.length });
    knownBytes += leaf.length;
    if (knownBytes > limitBytes) forgetOldest();
    return parsed;
  };
}
