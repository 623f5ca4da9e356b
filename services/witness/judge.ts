import { Failed, Refused } from '#core/errors.ts';
import type { Clock } from '#platform/clock.ts';
import { withDeadline } from '#platform/deadline.ts';
import type { Logger } from '#platform/logger.ts';
import type { Auditor } from './auditor.ts';
import { maxCodeCharacters, maxReasonCharacters, type SignedCheckpoint } from './records.ts';
import type { WitnessStore } from './store.ts';

export interface JudgeParts {
  /** By origin; none for a plain witness. */
  readonly auditors: ReadonlyMap<string, Auditor>;
  readonly store: WitnessStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly judgeMs: number;
}

/** Resolves with why the auditor refused, which is kept then, or undefined when it agrees. */
export type Judge = (
  checkpoint: SignedCheckpoint,
  stop: AbortSignal,
) => Promise<string | undefined>;

export function createJudge({ auditors, store, clock, logger, judgeMs }: JudgeParts): Judge {
  return async (checkpoint, stop) => {
    const { origin, size } = checkpoint;
    const auditor = auditors.get(origin);
    if (auditor === undefined) return undefined;
    const judge = async (signal: AbortSignal): Promise<void> => {
      try {
        await auditor.judge(checkpoint, signal);
      } catch (cause) {
        if (cause instanceof Refused || !signal.aborted) throw cause;
        throw new Failed('audit-late', 'the audit did not come to an end', { cause });
      }
    };
    try {
      await withDeadline(judgeMs, judge, stop);
      return undefined;
    } catch (cause) {
      if (cause instanceof Refused) {
        const said = { code: plain(cause.code, maxCodeCharacters), reason: reasonOf(cause) };
        logger.warn({ origin, size, ...said }, 'not cosigned: a rule is broken');
        await store.keepRefusal({ record: 'refusal', checkpoint, time: clock.nowS(), ...said });
        return `${said.code}: ${said.reason}`;
      }
      throw cause;
    }
  };
}

function reasonOf({ message }: Refused): string {
  return plain(message, maxReasonCharacters);
}

/** What the log wrote may stand in a reason: one line of NFC, of at most so many characters. */
function plain(text: string, maxCharacters: number): string {
  const oneLine = text
    .toWellFormed()
    .replaceAll(/\p{Cc}+/gu, ' ')
    .normalize('NFC');
  return Array.from(oneLine).slice(0, maxCharacters).join('') || 'unknown';
}
