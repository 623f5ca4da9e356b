import type { Policy } from '../../tlog/policy.ts';
import type { Finding, Step } from '../proof/ladder.ts';
import type { Evidence } from './misbehaviour.ts';

/** The steps in which evidence files are checked; each kind takes those that it has, in its order. */
export type EvidenceStepName =
  | 'form'
  | 'first'
  | 'second'
  | 'checkpoint'
  | 'entries'
  | 'receipt'
  | 'record'
  | 'contradiction'
  | 'accused';

export interface EvidenceVerdict {
  /** Undefined when the file could not be read as evidence at all. */
  readonly kind: Evidence['kind'] | undefined;
  /** `undecided`: proved against the keys in the file; whose they are, only a policy can say. */
  readonly result: 'proved' | 'unproved' | 'undecided';
  readonly steps: readonly Step<EvidenceStepName>[];
  /** What is proved, as a sentence without its end; undefined where nothing is. */
  readonly claim: string | undefined;
}

/** What the checks of every kind begin with: the verifier's own policy, and what step 1 found. */
export interface EvidenceContext {
  readonly policy: Policy | undefined;
  readonly read: Finding<undefined>;
}

export function verdictOf(
  kind: Evidence['kind'],
  steps: readonly Step<EvidenceStepName>[],
  claim: () => string,
): EvidenceVerdict {
  const isProved = steps.every(({ result }) => result === 'pass');
  const hasFailed = steps.some(({ result }) => result === 'fail');
  if (hasFailed) return { kind, result: 'unproved', steps, claim: undefined };
  // Nothing but `accused` is ever unknown here without a failure before it.
  const isClaimed = steps.every(({ name, result }) => result === 'pass' || name === 'accused');
  return {
    kind,
    result: isProved ? 'proved' : 'undecided',
    steps,
    claim: isClaimed ? claim() : undefined,
  };
}
