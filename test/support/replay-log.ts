import { parseEntry } from '#core/certificate/entry.ts';
import { advance, type Judgement } from '#core/certificate/fold.ts';
import { specOf } from '#core/certificate/kinds.ts';
import { emptyState, type LogState } from '#core/certificate/state/state.ts';
import { Refused } from '#core/errors.ts';

/**
 * Folds a whole log from its first entry, signatures verified. What evidence alone shows to be wrong
 * with an entry is taken from the `void` that says so, as a reader without the evidence does.
 */
export function replayLog(entries: readonly Uint8Array[]): {
  readonly state: LogState;
  readonly judgements: readonly Judgement[];
} {
  const state = emptyState();
  const voids = new Map(entries.flatMap(voidsIn));
  const judgements = entries.map((bytes, index) =>
    advance(state, bytes, { evidence: voids.get(index) }),
  );
  return { state, judgements };
}

function voidsIn(bytes: Uint8Array): [number, { code: string; message: string }][] {
  try {
    const { kind, spec } = parseEntry(bytes);
    if (kind !== 'void') return [];
    const { index, code } = specOf.void.parse(spec);
    return [[index, { code, message: 'a void says so' }]];
  } catch (error) {
    if (error instanceof Refused) return [];
    throw error;
  }
}
