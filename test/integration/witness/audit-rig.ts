import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import type { SignedDraft } from '#core/certificate/entry.ts';
import { Refused } from '#core/errors.ts';
import type { Reading } from '#core/energy/message.ts';
import type { Checkpoint } from '#core/tlog/checkpoint.ts';
import { manualClock, type ManualClock } from '#platform/clock.ts';
import { createHourThreads, type HourThreads } from '#platform/hour-threads.ts';
import { httpLogReader } from '#platform/log-reader.ts';
import { createLogger } from '#platform/logger.ts';
import { createSignatureCheck } from '#platform/signature-check.ts';
import { createLogAuditor, type LogAuditor } from '#witness/audit.ts';
import { startHostileLog, type HostileLog } from '#support/hostile-log.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { quickEngine, startTestPostgres } from '#support/postgres.ts';
import { testLog } from '#support/register.ts';
import { createTestLedger, testStartS } from '#support/test-ledger.ts';

export const hourS = 3600;
export const t0 = testStartS;
/** Hours of 1,000 Wh that are sealed, from entry `firstHour` on. */
export const hours = 4;
export const sealedAt = t0 + hours * hourS + 10;
export const firstHour = 5;
export const lastHour = firstHour + hours - 1;
export const limitBytes = 1_000_000;

export const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });

/** Without `state`, which a ledger enters by itself: entries have the same places in every test. */
export const kinds = people.rulesOfTest.kinds.filter((kind) => kind !== 'state');

/** A message of meter `p1-m` over hour `i`, in which it counts 1,000 Wh. */
export const hourly = (i: number): string =>
  people.message({
    plant: 'p1',
    meter: 'p1-m',
    seq: i + 1,
    readings: [at(t0 + i * hourS, i * 1000), at(t0 + (i + 1) * hourS, (i + 1) * 1000)],
  });

/** Cancels units of plant p1, signed by `account`. */
export const cancel = (account: string, from: number, to: number): SignedDraft =>
  people.signedByAccount('cancel', account, {
    beneficiary: 'acme',
    items: [{ from, series: 'energy/p1', to }],
    period: { from: t0, to: t0 + hourS },
    purpose: 'heat',
  });

export const newAuditor = (
  url: string,
  clock: ManualClock,
  threads?: Pick<HourThreads, 'proverOf'>,
): LogAuditor =>
  createLogAuditor({
    read: httpLogReader(url, { timeoutMs: 5_000, limitBytes }),
    signatures: createSignatureCheck(),
    ...(threads !== undefined && { threads }),
    clock,
    origin: testLog,
    logger: createLogger({ name: 'test', level: 'silent' }),
  });

/** An honest ledger's folder: genesis, a plant with its meter and key, four hours, a cancel. */
async function publishHonestly(): Promise<string> {
  const { pool, stop } = await startTestPostgres(quickEngine);
  const { enter, stepAt, folder } = createTestLedger(pool);
  await enter(people.genesis({ kinds }), ...people.simplePlant('p1'));
  await insertMessages(
    pool,
    Array.from({ length: hours }, (_, i) => ({ jws: hourly(i) })),
  );
  const { sealed } = await stepAt(sealedAt);
  expect(sealed).toHaveLength(hours);
  await enter(cancel('p1', 1, 1500));
  await stepAt(sealedAt);
  await stop();
  return folder;
}

export interface AuditRig {
  readonly folder: string;
  readonly log: HostileLog;
  readonly clock: ManualClock;
  /** One that has seen the log grow. */
  readonly auditor: LogAuditor;
  readonly judge: (checkpoint?: Checkpoint) => Promise<void>;
  readonly refusal: (checkpoint?: Checkpoint) => Promise<Refused>;
  /** Judge every hour, however short the log. */
  readonly threads: HourThreads;
  /**
   * Refused with the reason, by whoever saw the log grow, by whoever replays it at once, and by one that
   * has threads judge its hours: in the same words.
   */
  readonly expectRefused: (code: string, reason: RegExp) => Promise<void>;
  /** Agreed to by all of them. */
  readonly expectAgreed: () => Promise<void>;
}

const never = new AbortController().signal;

/** A log of its own for each test of the file, whose operator may do anything to it from here on. */
export function useHostileLog(): AuditRig {
  const current: { folder: string; log?: HostileLog; clock?: ManualClock; auditor?: LogAuditor } = {
    folder: '',
  };
  beforeAll(async () => {
    current.folder = await publishHonestly();
  });
  beforeEach(async () => {
    current.log = await startHostileLog(current.folder);
    current.clock = manualClock(sealedAt * 1000);
    current.auditor = newAuditor(current.log.url, current.clock);
  });
  afterEach(() => current.log?.stop());
  const threads = createHourThreads({ count: 2, worthEntries: 0 });
  afterAll(threads.close);

  const of = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('only within a test');
    return value;
  };
  const others = (): LogAuditor[] => [
    newAuditor(rig.log.url, rig.clock),
    newAuditor(rig.log.url, rig.clock, threads),
  ];
  const rig: AuditRig = {
    threads,
    get folder() {
      return current.folder;
    },
    get log() {
      return of(current.log);
    },
    get clock() {
      return of(current.clock);
    },
    get auditor() {
      return of(current.auditor);
    },
    judge: (checkpoint = rig.log.checkpoint()) => rig.auditor.judge(checkpoint, never),
    refusal: (checkpoint = rig.log.checkpoint()) => refusalBy(rig.auditor, checkpoint),
    async expectRefused(code, reason) {
      const said: string[] = [];
      for (const auditor of [rig.auditor, ...others()]) {
        const { code: saidCode, message } = await refusalBy(auditor, rig.log.checkpoint());
        expect(saidCode).toBe(code);
        expect(message).toMatch(reason);
        said.push(message);
      }
      expect(new Set(said).size).toBe(1);
    },
    async expectAgreed() {
      await rig.judge();
      for (const auditor of others()) await auditor.judge(rig.log.checkpoint(), never);
    },
  };
  return rig;
}

async function refusalBy(auditor: LogAuditor, checkpoint: Checkpoint): Promise<Refused> {
  const error: unknown = await auditor.judge(checkpoint, never).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Refused)) throw new Error('not refused', { cause: error });
  return error;
}
