import { join } from 'node:path';
import { sha256 } from '#crypto';
import { toHex, utf8 } from '#core/bytes.ts';
import { accessToken } from '#core/certificate/access.ts';
import { createAuditor, type AuditProgress } from '#core/certificate/audit/audit.ts';
import type { SignatureCheck } from '#core/certificate/audit/audit-evidence.ts';
import type { LogRead } from '#core/certificate/audit/audit-files.ts';
import { openPlantsOf } from '#core/certificate/audit/open-plants.ts';
import type { StateStore } from '#core/certificate/state/state-store.ts';
import { Failed, Fatal, Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import type { Clock } from '#platform/clock.ts';
import { createHourThreads, type HourThreads } from '#platform/hour-threads.ts';
import { httpLogReader, type LogReaderLimits } from '#platform/log-reader.ts';
import type { Logger } from '#platform/logger.ts';
import { createSignatureCheck } from '#platform/signature-check.ts';
import { openStateStore } from '#platform/state-store.ts';
import type { AheadSource } from './ahead.ts';
import type { Auditor, AuditorOf } from './auditor.ts';
import { httpOpenReader } from './open-reader.ts';
import { readingAhead } from './reading-ahead.ts';

/** An auditing witness's judgement (D3.4): by the log's static files, and its own replay of them. */

export type LogAuditor = Auditor & AheadSource;

export interface LogAuditorContext {
  readonly read: LogRead;
  readonly signatures: SignatureCheck;
  /** Judge the hours of long replays; without them all is done here. */
  readonly threads?: Pick<HourThreads, 'proverOf'>;
  readonly clock: Pick<Clock, 'nowS'>;
  readonly origin: string;
  readonly logger: Pick<Logger, 'info'>;
  /** Where it keeps what it has learnt; by default in memory. */
  readonly store?: StateStore;
}

/** How often a long replay says how far it is. */
const progressEveryEntries = 16_384;
const auditFolder = 'audit';

/**
 * Replays a log from what its store has kept, as far as the checkpoints that it is asked to judge.
 *
 * `judge` rejects with Refused(code of the first finding, `entry N: reason`), with
 * Failed('evidence-missing') when a file is not there or nobody answers for it, and with Fatal('audit')
 * when the replay itself broke: then its state is worth nothing.
 */
export function createLogAuditor(context: LogAuditorContext): LogAuditor {
  const { signatures, clock, origin, logger, store } = context;
  const read = required(context.read);
  const prover = context.threads?.proverOf({ read });
  const open = () => createAuditor({ read, signatures, prover, store });
  let auditor = open();
  let broken: Fatal | undefined;

  /** A row that could not be read has left the replay in the middle of an entry. */
  const openAgainIfLost = async (): Promise<void> => {
    if (store?.isLost() !== true) return;
    await store.reset();
    auditor = open();
  };

  const guarded = async <T>(signal: AbortSignal | undefined, work: () => Promise<T>) => {
    if (broken !== undefined) throw broken;
    try {
      return await work();
    } catch (cause) {
      const isAbort = signal?.aborted === true && cause === signal.reason;
      if (cause instanceof Refused || cause instanceof Failed || isAbort) throw cause;
      broken = new Fatal('audit', `${origin}: the audit itself failed`, { cause });
      throw broken;
    }
  };

  return {
    judge: (checkpoint, signal) =>
      guarded(signal, async () => {
        await openAgainIfLost();
        const onProgress = progressTo(logger, origin);
        const options = { nowS: clock.nowS(), signal, onProgress };
        const [first] = await auditor.judge(checkpoint, options);
        if (first === undefined) return;
        const { index, code, message } = first;
        throw new Refused(code, index === undefined ? message : `entry ${index}: ${message}`);
      }),
    plants: (limit) => openPlantsOf(auditor.state, limit),
    ahead: (leaves) => guarded(undefined, () => auditor.ahead(leaves)),
    async close() {
      try {
        if (broken === undefined) await auditor.keep();
        else await store?.clear();
      } catch (cause) {
        // It is learnt again from what was kept before.
        if (!(cause instanceof Failed)) throw cause;
      } finally {
        await store?.close();
      }
    },
  };
}

/** Whatever keeps a file away, it is missing for now. */
function required(read: LogRead): LogRead {
  return async (path) => {
    try {
      return await read(path);
    } catch (cause) {
      if (!(cause instanceof Failed)) throw cause;
      throw new Failed('evidence-missing', cause.message, { cause });
    }
  };
}

function progressTo(
  logger: LogAuditorContext['logger'],
  origin: string,
): (progress: AuditProgress) => void {
  let said: number | undefined;
  return (progress) => {
    said ??= progress.entries;
    if (progress.entries - said < progressEveryEntries) return;
    said = progress.entries;
    logger.info({ origin, ...progress }, 'auditing');
  };
}

export interface LogAuditorsContext {
  /** The witness's own key, which also asks for the evidence of committed sites. */
  readonly signer: Signer;
  /** Of the witness, which has it to itself: every log has a folder in it. */
  readonly folder: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<LogReaderLimits>;
}

/** Auditors over HTTP, by the URL of each log. Refused('witness-logs') for a log without one. */
export function logAuditors(context: LogAuditorsContext): AuditorOf {
  const { signer, folder, clock, logger, limits } = context;
  const signatures = createSignatureCheck();
  const threads = createHourThreads();
  let opened = 0;
  return async ({ origin, url }) => {
    if (url === undefined) {
      throw new Refused('witness-logs', `${origin}: no URL to audit it from`);
    }
    const authorization = (): string =>
      `Bearer ${accessToken(signer, { origin, nowS: clock.nowS() })}`;
    const read = httpLogReader(url, { ...limits, authorization });
    const store = await openStateStore(join(folder, auditFolder, toHex(sha256(utf8(origin)))));
    const auditor = createLogAuditor({
      ...{ read, signatures, threads, clock, origin, logger, store },
    });
    const ahead = readingAhead(auditor, { read: httpOpenReader(url, { authorization }) });
    ahead.start();
    opened += 1;
    return {
      judge: ahead.judge,
      async close() {
        try {
          await ahead.close?.();
        } finally {
          opened -= 1;
          if (opened === 0) await threads.close();
        }
      },
    };
  };
}
