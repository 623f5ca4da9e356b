import { Refused } from '../../errors.ts';
import type { Policy } from '../../tlog/policy.ts';
import { verifyEquivocation } from './equivocation-of-evidence.ts';
import type { EvidenceVerdict } from './evidence-verdict.ts';
import { ladderOf, type Finding } from '../proof/ladder.ts';
import { parseEvidence, type Evidence } from './misbehaviour.ts';
import { verifyDishonoured } from './receipt-of-evidence.ts';

/**
 * Checks an evidence file offline. Whoever is accused is known by a key, so without a `policy` that
 * names the key the verdict is never more than `undecided`: everybody can make keys of any name.
 */
export function verifyMisbehaviour(
  bytes: Uint8Array,
  { policy }: { readonly policy?: Policy } = {},
): EvidenceVerdict {
  let evidence: Evidence;
  try {
    evidence = parseEvidence(bytes);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const ladder = ladderOf(['form']);
    ladder.climb('form', () => {
      throw error;
    });
    return { kind: undefined, result: 'unproved', steps: ladder.steps, claim: undefined };
  }
  const read: Finding<undefined> = {
    value: undefined,
    reason: `${bytes.length} bytes, sum ${evidence.sum.slice(0, 16)}…`,
  };
  return evidence.kind === 'equivocation'
    ? verifyEquivocation(evidence, { policy, read })
    : verifyDishonoured(evidence, { policy, read });
}
