import { expect } from 'vitest';
import { toHex } from '#core/bytes.ts';
import { verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import { cosignatureType, verifierKeyOf } from '#core/tlog/note.ts';
import { logKey, witnessName, witnessSigner } from '../../integration/witness/rig.ts';

/** All that a witness ever said: what it must not contradict. */
export interface Said {
  /** A note with its cosignature. */
  readonly take: (note: Uint8Array) => void;
  /** -1 before the first. */
  readonly largest: () => number;
  readonly count: () => number;
}

const cosigner = verifierKeyOf(witnessName, cosignatureType, witnessSigner);

export function whatIsSaid(): Said {
  const rootAt = new Map<number, string>();
  let largest = -1;
  let newestTime = 0;
  return {
    take(note) {
      const { size, root, cosignatures } = verifyCheckpoint(note, {
        log: logKey,
        cosigners: [cosigner],
      });
      const [{ time } = { time: NaN }] = cosignatures;
      // Two roots for one size, or a time that falls: the witness made a second history possible.
      expect(rootAt.get(size) ?? toHex(root)).toBe(toHex(root));
      expect(time).toBeGreaterThanOrEqual(size > largest ? newestTime : 0);
      rootAt.set(size, toHex(root));
      largest = Math.max(largest, size);
      newestTime = Math.max(newestTime, time);
    },
    largest: () => largest,
    count: () => rootAt.size,
  };
}
