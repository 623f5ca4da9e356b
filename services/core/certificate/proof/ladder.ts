import { Refused } from '../../errors.ts';
import { UnknownKind } from '../fold.ts';

/** The nine steps of a verification, in their order (D3.5). */
export const stepNames = [
  'form',
  'checkpoint',
  'quorum',
  'entries',
  'evidence',
  'signatures',
  'energy',
  'issue',
  'life',
] as const;
export type StepName = (typeof stepNames)[number];
export type StepResult = 'pass' | 'fail' | 'unknown';

export interface Step<Name extends string = StepName> {
  readonly number: number;
  readonly name: Name;
  readonly result: StepResult;
  /** What was shown, or why it was not, in one sentence for people. */
  readonly reason: string;
}

/** What a step found: a value for the steps that rest on it, and how far it carries. */
export interface Finding<T> {
  readonly value: T;
  readonly reason: string;
  /** `pass` unless the step says that it cannot decide. */
  readonly result?: 'pass' | 'unknown';
}

/** A step rests on another one that did not pass. */
class Unreached extends Error {}

export interface Ladder<Name extends string = StepName> {
  readonly steps: readonly Step<Name>[];
  /**
   * Takes one step. The function returned gives its value to later steps, which become `unknown`
   * when there is none. Only Refused and UnknownKind are verdicts; anything else is a fault of ours.
   */
  readonly climb: <T>(name: Name, work: () => Finding<T>) => () => T;
  /** Computes something several steps share, without being a step: its failure is theirs. */
  readonly share: <T>(work: () => T) => () => T;
}

export function createLadder(): Ladder {
  return ladderOf(stepNames);
}

/** A ladder of other steps than those of a proof file, such as those of evidence. */
export function ladderOf<const Name extends string>(names: readonly Name[]): Ladder<Name> {
  const steps: Step<Name>[] = [];
  const note = (name: Name, result: StepResult, reason: string): void => {
    steps.push({ number: names.indexOf(name) + 1, name, result, reason: printable(reason) });
  };
  return {
    steps,
    climb(name, work) {
      try {
        const { value, reason, result = 'pass' } = work();
        note(name, result, reason);
        return () => value;
      } catch (error) {
        note(name, ...verdictOf(error));
        return () => {
          throw new Unreached(`it rests on step ${names.indexOf(name) + 1}, ${name}`);
        };
      }
    },
    share(work) {
      let outcome: { readonly value: ReturnType<typeof work> } | { readonly error: unknown };
      try {
        outcome = { value: work() };
      } catch (error) {
        outcome = { error };
      }
      return () => {
        if ('error' in outcome) throw outcome.error;
        return outcome.value;
      };
    },
  };
}

const reasonLimit = 300;

/** A reason may quote what a stranger wrote, as a member's name, and stands on people's terminals. */
export function printable(reason: string): string {
  const text = reason.slice(0, reasonLimit).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd');
  return reason.length > reasonLimit ? `${text}…` : text;
}

function verdictOf(error: unknown): [StepResult, string] {
  if (error instanceof Refused) return ['fail', error.message];
  if (error instanceof Unreached) return ['unknown', `not looked at: ${error.message}`];
  if (error instanceof UnknownKind) return ['unknown', error.message];
  throw error;
}
