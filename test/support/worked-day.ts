import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { signedDraft } from '#core/certificate/entry.ts';
import { messagesTopic } from '#core/energy/message.ts';
import { createIngestion, type Ingestion } from '#ingestion/service.ts';
import { createLedger, type Ledger } from '#ledger/service.ts';
import { manualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { testKey, testOrigin } from './log-builder.ts';
import { enrol } from './worked-day-enrolment.ts';
import { ingestionLater, logLater, midnight, night } from './worked-day-end.ts';
import { at, messageOf, notAfter, type Day, type DayEntry } from './worked-day-parties.ts';
import { evening, fork, morning, outage, reset, setAside } from './worked-day-scenario.ts';

/**
 * The worked day of FORMATS.md, through the real ingestion and the real ledger: a solar plant with an
 * auxiliary meter and a mill whose consumption is committed, on 2026-01-01. Nothing in it is random,
 * so the entries that the ledger writes are the same bytes every time, on every engine.
 */
export interface WorkedDay {
  readonly ledger: Ledger;
  readonly entries: readonly DayEntry[];
  /** Where the log's static files are. */
  readonly folder: string;
}

/** How long after its last reading a message arrives, unless something holds it up. */
const travelS = 5;

/** What the mill's commitments are salted by. */
const siteSecret = sha256(utf8('hourseal test site secret mill'));

/** Runs the day on an empty, migrated database. `root` is a folder of its own, for what the ledger keeps. */
export async function runWorkedDay(pool: Pool, root: string): Promise<WorkedDay> {
  const clock = manualClock(at('09:59') * 1000);
  const logger = createLogger({ name: 'worked-day', level: 'silent' });
  const folder = join(root, 'log');
  const secretsFolder = join(root, 'secrets');
  mkdirSync(secretsFolder, { recursive: true, mode: 0o700 });
  writeFileSync(join(secretsFolder, 'site-mill.hex'), `${toHex(siteSecret)}\n`, { mode: 0o600 });
  const signer = [testKey('log'), logLater];
  const ledger = createLedger({ pool, clock, signer, folder, secretsFolder, logger });
  const ingestion = createIngestion({
    pool,
    clock,
    signer: [testKey('ingestion'), ingestionLater],
    sendReceipt: () => Promise.resolve(),
    logger,
    limits: { refreshEveryMs: 0, looksPerSecond: 1_000, gatherMs: 0 },
  });
  const entries = (): Promise<DayEntry[]> => readDay(pool);
  const day = dayOf({ ledger, ingestion, clock, entries });
  await ingestion.start();
  try {
    for (const part of [enrol, morning, outage, setAside, fork, reset, evening, night, midnight])
      await part(day);
  } finally {
    await ingestion.stop();
  }
  return { ledger, folder, entries: await entries() };
}

function dayOf({
  ledger,
  ingestion,
  clock,
  entries,
}: Pick<Day, 'ledger' | 'clock' | 'entries'> & { readonly ingestion: Ingestion }): Day {
  const moveTo = (timeS: number): Promise<void> => clock.advance(timeS * 1000);
  return {
    ledger,
    clock,
    entries,
    moveTo,
    async enter(kind, spec, signers) {
      const action = { kind, origin: testOrigin, spec: { ...spec, notAfter } };
      const [outcome] = await ledger.submit([signedDraft(action, signers)]);
      if (outcome?.result !== 'sequenced') throw new Error(`${kind}: ${JSON.stringify(outcome)}`);
    },
    async send(device, seq, values) {
      const { plant, meter } = device;
      const bytes = utf8(messageOf(device, seq, values));
      const last = Math.max(...Object.keys(values).map(at));
      const receivedAt = Math.max(clock.nowS(), last + travelS);
      await moveTo(receivedAt);
      const topic = messagesTopic(plant, meter);
      await ingestion.accept({ sender: meter, topic, bytes, receivedAt });
    },
    async step(time) {
      await moveTo(at(time));
      await ledger.step();
    },
  };
}

async function readDay(pool: Pool): Promise<DayEntry[]> {
  const rows = await pool.rows<{
    index: number;
    time: number;
    leaf_hash: Uint8Array;
    data: Uint8Array;
  }>('select index, time, leaf_hash, data from log_entry order by index');
  return rows.map(({ index, time, leaf_hash, data }) => ({
    index,
    time,
    leafHash: toHex(leaf_hash),
    jcs: decodeUtf8(data),
  }));
}
