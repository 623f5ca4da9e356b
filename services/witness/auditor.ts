import type { Checkpoint } from '#core/tlog/checkpoint.ts';
import type { WatchedLog } from './logs.ts';

/** Judges what a log says, beyond its having only grown (D3.3): the work of an auditing witness. */
export interface Auditor {
  /**
   * Called for one checkpoint of its log at a time, after the checkpoint's consistency with the
   * newest one that was cosigned has been verified and before the head moves. Resolves when the
   * checkpoint may be cosigned. Rejects with Refused(code, message) when the log broke a rule and
   * does not say so, with Failed when evidence is missing for now, with Fatal when the auditor's own
   * state cannot be trusted any more: the witness then stops.
   *
   * What it learns is best kept over calls and crashes: nothing else bounds how long the next one
   * takes. It is not called again for a checkpoint that was cosigned under the same key. Once
   * `signal` aborts it should reject soon: until then its log waits.
   */
  readonly judge: (checkpoint: Checkpoint, signal: AbortSignal) => Promise<void>;
  /** Lets go of what it holds. Called once, when nothing is being judged any more. */
  readonly close?: () => Promise<void>;
}

/** Called once a log, when the witness starts. */
export type AuditorOf = (log: WatchedLog) => Promise<Auditor>;
