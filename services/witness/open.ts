import { Fatal } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import type { Clock } from '#platform/clock.ts';
import { ensureFolder } from '#platform/durable-file.ts';
import { lockFolder } from '#platform/folder-lock.ts';
import type { Logger } from '#platform/logger.ts';
import type { Auditor, AuditorOf } from './auditor.ts';
import type { WitnessLimits } from './config.ts';
import { createCosigner, type Cosigner } from './cosign.ts';
import { examine } from './examine.ts';
import type { Monitored, Reply } from './http.ts';
import { createJudge } from './judge.ts';
import type { WatchedLog } from './logs.ts';
import { openWitnessStore, type WitnessStore } from './store.ts';
import { createTurns } from './turns.ts';

export interface OpenContext {
  readonly name: string;
  readonly vkey: string;
  readonly signer: Signer;
  readonly folder: string;
  /** By origin. */
  readonly logs: ReadonlyMap<string, WatchedLog>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: WitnessLimits;
  readonly auditorOf?: AuditorOf;
  /** Called when the witness can sign nothing more. */
  readonly died: (error: Error) => void;
}

/** A witness with its store open and its auditors ready; nobody can reach it yet. */
export interface OpenWitness {
  readonly submit: (body: Uint8Array, gone: AbortSignal) => Promise<Reply>;
  /** By origin. */
  readonly monitored: ReadonlyMap<string, Monitored>;
  /** Decides nothing more and resolves once nothing is under way. */
  readonly settle: () => Promise<void>;
  /** After `settle`: lets go of everything. */
  readonly close: () => Promise<void>;
}

/** Refused('folder-in-use') when another process has the folder; and as `openWitnessStore`. */
export async function openWitness(context: OpenContext): Promise<OpenWitness> {
  const { logs, limits } = context;
  const held: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    const release = held.pop();
    if (release === undefined) return;
    try {
      await release();
    } finally {
      await close();
    }
  };
  try {
    await ensureFolder(context.folder, 0o700);
    const lock = await lockFolder(context.folder);
    held.push(lock.release);
    const store = await openWitnessStore(lock, limits);
    held.push(store.close);
    const auditors = new Map<string, Auditor>();
    for (const log of logs.values()) {
      const auditor = await context.auditorOf?.(log);
      if (auditor === undefined) continue;
      auditors.set(log.origin, auditor);
      if (auditor.close !== undefined) held.push(auditor.close);
    }
    const judge = createJudge({ ...context, store, auditors, judgeMs: limits.judgeMs });
    const cosigner = createCosigner({ ...context, store, judge });
    const monitored = new Map([...logs.keys()].map((log) => [log, about(log, store, cosigner)]));
    return { ...submissions(context, cosigner), monitored, close };
  } catch (cause) {
    await close();
    throw cause;
  }
}

function about(origin: string, store: WitnessStore, cosigner: Cosigner): Monitored {
  return {
    checkpoint: () => cosigner.newest(origin),
    refusal: () => store.refusal(origin),
    contradiction: () => store.contradiction(origin),
  };
}

function submissions(
  { logs, limits, died }: OpenContext,
  cosigner: Cosigner,
): Pick<OpenWitness, 'submit' | 'settle'> {
  const turns = createTurns({ waitingPerThing: limits.waitingPerLog });
  const stopping = new AbortController();
  return {
    async submit(body, gone) {
      // Whoever is not the log is turned away before taking anybody's turn.
      const examined = examine(body, logs);
      if (examined.result !== 'submitted') return examined;
      const { submission } = examined;
      const signals = { gone, stop: stopping.signal };
      try {
        return await turns.take(submission.log.origin, () => cosigner.cosign(submission, signals));
      } catch (cause) {
        if (cause instanceof Fatal) died(cause);
        throw cause;
      }
    },
    async settle() {
      stopping.abort();
      await turns.whenIdle();
    },
  };
}
