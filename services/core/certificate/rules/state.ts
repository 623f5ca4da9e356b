import { fromHex, equalBytes } from '../../bytes.ts';
import { Refused } from '../../errors.ts';
import type { SpecOf } from '../kinds.ts';
import { advanceStateTree, countAsOf, stateRoot } from '../state/state-tree.ts';
import type { LogState } from '../state/state.ts';
import type { Rule } from './rule.ts';

/**
 * A `state` speaks of a size between the state before and its own index. Whether its root is right
 * only somebody who holds every range can say: `judgeStateEvidence`.
 */
export const state: Rule<'state'> = {
  signers: () => [],
  plan(spec, { state: log, ref, time }) {
    if (!isNextState(log, spec, ref.index)) {
      throw new Refused('as-of', `as of ${spec.asOf}, not above ${log.stateAsOf} to ${ref.index}`);
    }
    if (!log.partial && spec.count !== countAsOf(log.stateTree.ranges, spec.asOf)) {
      throw new Refused('count', `not the number of ranges that ${spec.asOf} entries issued`);
    }
    return () => {
      // Whoever folds a whole log can be asked for a proof by it, and needs what was before no longer.
      if (!log.partial && log.stateTree.asOf < spec.asOf)
        advanceStateTree(log.stateTree, spec.asOf);
      log.previousState = log.latestState;
      log.latestState = { asOf: spec.asOf, ref, time };
    };
  },
};

/**
 * States ascend, void ones too, as `prev` chains void hours: else one wrong entry would make those who
 * can compute a root go back to a size that they have left behind.
 */
export function isNextState(
  { stateAsOf }: LogState,
  { asOf }: Pick<SpecOf<'state'>, 'asOf'>,
  index: number,
): boolean {
  return asOf > stateAsOf && asOf <= index;
}

/**
 * What is wrong with the root of a `state` entry, as `advance` takes it, judged before it is folded.
 * Undefined when nothing is, and where its rule refuses it anyway. Computes the state as of `asOf`.
 */
export function judgeStateEvidence(
  log: LogState,
  spec: SpecOf<'state'>,
): { readonly code: string; readonly message: string } | undefined {
  if (!isNextState(log, spec, log.size)) return undefined;
  advanceStateTree(log.stateTree, spec.asOf);
  if (equalBytes(stateRoot(log.stateTree), fromHex(spec.root))) return undefined;
  return { code: 'root', message: `not the root of the ranges as of ${spec.asOf}` };
}
