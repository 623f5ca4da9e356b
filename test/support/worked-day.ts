import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { encodeEntry, signedDraft } from '#core/certificate/entry.ts';
import { buildMessage, messagesTopic, parseMessage, type Reading } from '#core/energy/message.ts';
import { createIngestion } from '#ingestion/service.ts';
import { createLedger, type Ledger } from '#ledger/service.ts';
import { manualClock, type ManualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Signer } from '#core/signer.ts';
import { replayLog } from './replay-log.ts';
import { testHash, testKey, testOrigin, testRules, testStartS, testVkey } from './log-builder.ts';

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

export interface DayEntry {
  readonly index: number;
  readonly time: number;
  readonly leafHash: string;
  readonly jcs: string;
}

const midnightS = testStartS - 10 * 3600;
/** All that is signed on the day is good until the next morning. */
const notAfter = testStartS + 86_400;
/** How long after its last reading a message arrives, unless something holds it up. */
export const travelS = 5;
const deadlineS = 2 * 3600;
const lateAfterS = 3 * 3600;

/** What the mill's commitments are salted by. */
export const siteSecret = sha256(utf8('hourseal test site secret mill'));

/** Unix seconds of a time of the day, `HH:MM` or `HH:MM:SS`, UTC. */
export function at(time: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number);
  return midnightS + hours * 3600 + minutes * 60 + seconds;
}

interface Device {
  readonly plant: string;
  readonly meter: string;
  readonly register: string;
  readonly key: Signer;
}

const issuing = testKey('issuing body');
const solarOwner = testKey('solar account');
const millOwner = testKey('mill account');
const solar: Device = {
  plant: 'solar',
  meter: 'SOLAR-1',
  register: 'exportWh',
  key: testKey('solar meter'),
};
const solarLater: Device = { ...solar, key: testKey('solar meter 2') };
const own: Device = {
  plant: 'solar',
  meter: 'SOLAR-2',
  register: 'importWh',
  key: testKey('solar auxiliary meter'),
};
const mill: Device = { ...own, plant: 'mill', meter: 'MILL-1', key: testKey('mill meter') };

/** What one can do on the day. Times only move forward. */
interface Day {
  readonly ledger: Ledger;
  readonly clock: ManualClock;
  readonly pool: Pool;
  /** Enters an action at once; its nonce tells in the example what it belongs to. */
  readonly enter: (
    kind: string,
    spec: Readonly<Record<string, unknown>> & { readonly nonce: string },
    signers: readonly Signer[],
  ) => Promise<void>;
  /** A message with the register's value at each of some times; arrives soon, or when it is said. */
  readonly send: (
    device: Device,
    seq: number,
    values: Readonly<Record<string, number>>,
    arrives?: { readonly arrives: string },
  ) => Promise<void>;
  readonly moveTo: (timeS: number) => Promise<void>;
  /** The ledger looks once. */
  readonly step: (time: string) => Promise<void>;
}

/** Runs the day on an empty, migrated database. `root` is a folder of its own, for what the ledger keeps. */
export async function runWorkedDay(pool: Pool, root: string): Promise<WorkedDay> {
  const clock = manualClock(at('09:59') * 1000);
  const logger = createLogger({ name: 'worked-day', level: 'silent' });
  const folder = join(root, 'log');
  const secretsFolder = join(root, 'secrets');
  mkdirSync(secretsFolder, { recursive: true, mode: 0o700 });
  writeFileSync(join(secretsFolder, 'site-mill.hex'), `${toHex(siteSecret)}\n`, { mode: 0o600 });
  const ledger = createLedger({
    pool,
    clock,
    signer: testKey('log'),
    folder,
    secretsFolder,
    logger,
  });
  const ingestion = createIngestion({
    pool,
    clock,
    signer: testKey('ingestion'),
    sendReceipt: () => Promise.resolve(),
    logger,
    limits: { refreshEveryMs: 0, looksPerSecond: 1_000, gatherMs: 0 },
  });
  const moveTo = (timeS: number): Promise<void> => clock.advance(timeS * 1000);
  const day: Day = {
    ledger,
    clock,
    pool,
    moveTo,
    async enter(kind, spec, signers) {
      const action = { kind, origin: testOrigin, spec: { ...spec, notAfter } };
      const [outcome] = await ledger.submit([signedDraft(action, signers)]);
      if (outcome?.result !== 'sequenced') throw new Error(`${kind}: ${JSON.stringify(outcome)}`);
    },
    async send(device, seq, values, arrives) {
      const { plant, meter } = device;
      const bytes = utf8(messageOf(device, seq, values));
      const last = Math.max(...Object.keys(values).map(at));
      const receivedAt = arrives === undefined ? last + travelS : at(arrives.arrives);
      await moveTo(Math.max(receivedAt, clock.nowS()));
      await ingestion.accept({
        sender: meter,
        topic: messagesTopic(plant, meter),
        bytes,
        receivedAt,
      });
    },
    async step(time) {
      await moveTo(at(time));
      await ledger.step();
    },
  };
  await ingestion.start();
  try {
    await enrol(day);
    await morning(day);
    await outage(day);
    await setAside(day);
    await fork(day);
    await reset(day);
    await evening(day);
  } finally {
    await ingestion.stop();
  }
  return { ledger, folder, entries: await readDay(pool) };
}

function messageOf(
  { plant, meter, register, key }: Device,
  seq: number,
  values: Readonly<Record<string, number>>,
): string {
  const readings = Object.entries(values).map(([time, value]): Reading => ({
    registers: { [register]: value },
    t: at(time),
  }));
  return buildMessage(key, { log: testOrigin, meter, plant, readings, seq, v: 1 });
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

/** The log, its rules, and two parties with their plants, meters and keys, at 10:00 sharp. */
async function enrol({ enter, moveTo }: Day): Promise<void> {
  const genesis = {
    formatVersion: 1,
    ingestionKey: testKey('ingestion').jwk,
    issuers: { keys: [issuing.jwk], threshold: 1 },
    logKey: testVkey(),
    origin: testOrigin,
    rules: testRules,
  };
  await enter('genesis', { ...genesis, nonce: 'g1' }, [issuing]);
  await enter('rules', { ...testRules, deadlineS, lateAfterS, version: 2, nonce: 'r1' }, [issuing]);
  await moveTo(at('10:00'));
  // As in test/vectors/entries.json, which was made from the design alone.
  const identity = 'a18cd8d4c450c6d9f709c8d9ba30657e8987e3d308616dca0e98c5e6504a4ccc';
  const party = { account: 'solar', custody: 'own', identity, jwk: solarOwner.jwk, role: 'plant' };
  await enter('account', { ...party, nonce: 'a1' }, [issuing, solarOwner]);
  const kept = { account: 'mill', custody: 'operator', role: 'buyer', jwk: millOwner.jwk };
  const millIdentity = { identity: testHash('mill'), nonce: 'a2' };
  await enter('account', { ...kept, ...millIdentity }, [issuing, millOwner]);
  const place = { capacityW: 1_000_000, latitude: 480_000_000, longitude: 110_000_000, zone: 'DE' };
  const plant = {
    ...place,
    account: 'solar',
    commissionedAt: testStartS - 30 * 86_400,
    disclosure: 'public',
    official: { EIC: '11WSOLAR-1-----V' },
    plant: 'solar',
    source: 'solar',
    technology: 'photovoltaic',
    type: 'production',
  };
  await enter('plant', { ...plant, nonce: 'p1' }, [issuing, solarOwner]);
  const site = {
    ...place,
    account: 'mill',
    commissionedAt: testStartS - 30 * 86_400,
    disclosure: 'committed',
    plant: 'mill',
    source: 'grid',
    technology: 'mill',
    type: 'consumption',
  };
  await enter('plant', { ...site, nonce: 'p2' }, [issuing, millOwner]);
  await enrolMeters({ enter });
}

async function enrolMeters({ enter }: Pick<Day, 'enter'>): Promise<void> {
  const feeds = { digits: 9, direction: 'export', obis: '1-0:2.8.0', unit: 'Wh' };
  const takes = { digits: 9, direction: 'import', obis: '1-0:1.8.0', unit: 'Wh' };
  const devices = [
    { of: solar, role: 'production', clock: 'reliable', serial: 'SN-0001', is: feeds },
    { of: own, role: 'auxiliary', clock: 'reliable', serial: 'SN-0002', is: takes },
    { of: mill, role: 'consumption', clock: 'unreliable', serial: 'SN-0100', is: takes },
  ];
  for (const [i, { of, role, clock, serial, is }] of devices.entries()) {
    const { meter, plant, register } = of;
    const spec = { clock, meter, plant, registers: { [register]: is }, role, serial };
    await enter('meter', { ...spec, nonce: `m${i + 1}` }, [issuing, ownerOf(plant)]);
  }
  for (const [i, { of }] of devices.entries()) {
    const { meter, plant, key } = of;
    const spec = { jwk: key.jwk, meter, notBefore: at('10:00'), plant };
    await enter('key', { ...spec, nonce: `k${i + 1}` }, [issuing, ownerOf(plant), key]);
  }
}

function ownerOf(plant: string): Signer {
  return plant === 'mill' ? millOwner : solarOwner;
}

/** 10:00 to 12:00: an ordinary hour, and one in which the key is changed at 11:30. */
async function morning({ enter, send, step, moveTo }: Day): Promise<void> {
  await send(solar, 1, { '10:00': 1000 });
  await send(own, 1, { '10:00': 500 });
  await send(solar, 2, { '10:30': 1600 });
  await send(solar, 3, { '11:00': 3000 });
  await send(own, 2, { '11:00': 600 });
  await send(mill, 1, { '10:00': 50_000, '11:00': 50_700 });
  await step('11:00:10');
  await moveTo(at('11:05'));
  const cancelled = {
    account: 'solar',
    beneficiary: 'mill',
    items: [{ from: 1, series: 'energy/solar', to: 1500 }],
    period: { from: at('10:00'), to: at('13:00') },
    purpose: 'the consumption of the mill',
  };
  await enter('cancel', { ...cancelled, nonce: 'c1' }, [solarOwner]);
  await send(solar, 4, { '11:15': 3400, '11:30': 3800 });
  await moveTo(at('11:31'));
  const { key, meter, plant } = solarLater;
  const next = { jwk: key.jwk, meter, notBefore: at('11:30'), plant };
  await enter('key', { ...next, nonce: 'k4' }, [issuing, solarOwner, key]);
  const end = { kid: solar.key.kid, lastSeq: 4, lastT: at('11:30') };
  await enter('key-end', { ...end, nonce: 'k5' }, [issuing, solarOwner]);
  await send(solarLater, 1, { '11:45': 4200 });
  await send(solarLater, 2, { '12:00': 4600 });
  await send(own, 3, { '12:00': 700 });
  await step('12:00:10');
}

/** 12:00 to 15:05: of the solar meter nothing is heard from 12:20 on, of the mill's one message is lost. */
async function outage({ enter, send, step, moveTo }: Day): Promise<void> {
  await send(solarLater, 3, { '12:10': 4800, '12:20': 5000 });
  await moveTo(at('12:30'));
  const ends = { endsAt: at('13:00'), plant: 'mill' };
  await enter('plant-change', { ...ends, nonce: 'p3' }, [issuing, millOwner]);
  await send(own, 4, { '13:00': 800 });
  await send(mill, 3, { '12:30': 51_700, '13:00': 52_000 });
  await step('13:00:10');
  await send(own, 5, { '14:00': 900 });
  await step('14:00:10');
  await send(mill, 2, { '11:30': 51_000, '12:00': 51_300 }, { arrives: '14:20' });
  await step('14:20:10');
  await send(own, 6, { '15:00': 1000 });
  await step('15:00:10');
  await send(solarLater, 4, { '12:40': 5500, '13:00': 6000 }, { arrives: '15:05' });
  await send(solarLater, 5, { '13:30': 6400, '14:00': 6800 }, { arrives: '15:05' });
  await send(solarLater, 6, { '14:30': 7300, '15:00': 7800 }, { arrives: '15:05' });
  await step('15:05:10');
}

/** A reading of the morning is set aside, whose certificates are gone; the next two hours pay for it. */
async function setAside({ enter, send, step, moveTo }: Day): Promise<void> {
  await moveTo(at('15:30'));
  const decision = {
    effect: 'set-aside',
    evidence: [testHash('the inspection report')],
    from: 3,
    kid: solar.key.kid,
    reason: 'the inspector found the reading of 11:00 to be mistaken',
    to: 3,
  };
  await enter('decision', { ...decision, nonce: 'd1' }, [issuing]);
  await step('15:30:10');
  await send(solarLater, 7, { '15:30': 8200, '16:00': 8600 }, { arrives: '16:00:05' });
  await send(own, 7, { '16:00': 1100 });
  await step('16:00:10');
  await moveTo(at('16:35'));
  const exchange = {
    closing: { exportWh: 9100 },
    meter: 'SOLAR-1',
    opening: { exportWh: 0 },
    serial: 'SN-0003',
    t: at('16:30'),
  };
  await enter('exchange', { ...exchange, nonce: 'x1' }, [issuing, solarOwner]);
  await send(solarLater, 8, { '16:20': 8900 }, { arrives: '16:36' });
  await send(solarLater, 9, { '17:00': 800 });
  await send(own, 8, { '17:00': 1200 });
  await step('17:00:10');
}

/** Under number 10 there are two messages; the hour that they prove waits for a decision. */
async function fork({ enter, send, step, moveTo }: Day): Promise<void> {
  const kept = { '17:30': 1300 };
  await send(solarLater, 10, { '17:30': 2100 });
  await send(solarLater, 10, kept, { arrives: '17:31' });
  await step('17:31:10');
  await send(solarLater, 11, { '18:00': 1700 });
  await send(own, 9, { '18:00': 1300 });
  await step('18:00:10');
  await moveTo(at('18:20'));
  const { kid } = solarLater.key;
  const decision = {
    effect: 'keep-fork',
    evidence: [],
    hash: toHex(parseMessage(utf8(messageOf(solarLater, 10, kept))).hash),
    kid,
    reason: 'the gateway sent a value of its own making; the meter itself shows 1300',
    seq: 10,
  };
  await enter('decision', { ...decision, nonce: 'd2' }, [issuing]);
  const thaw = { evidence: [], id: kid, reason: 'the fork is decided', what: 'key' };
  await enter('unfreeze', { ...thaw, nonce: 'u1' }, [issuing]);
  await step('18:20:10');
}

/** 18:00 to 19:00: the register falls, and a decision says why. */
async function reset({ enter, send, step, moveTo }: Day): Promise<void> {
  await send(solarLater, 12, { '18:30': 2200 });
  await send(solarLater, 13, { '18:40': 40, '19:00': 540 });
  await send(own, 10, { '19:00': 1400 });
  await step('19:00:10');
  await moveTo(at('19:10'));
  const decision = {
    effect: 'break',
    evidence: [],
    meter: 'SOLAR-1',
    reason: 'the meter was reset on site',
    t: at('18:40'),
  };
  await enter('decision', { ...decision, nonce: 'd3' }, [issuing]);
  await step('19:10:10');
}

/** 19:00 to the end: the plant's last two hours, two entries that break rules, and a late message. */
async function evening(day: Day): Promise<void> {
  const { enter, send, step, moveTo } = day;
  await moveTo(at('19:30'));
  const ends = { endsAt: at('21:00'), plant: 'solar', support: 'none' };
  await enter('plant-change', { ...ends, nonce: 'p4' }, [issuing, solarOwner]);
  await send(solarLater, 14, { '20:00': 940 });
  await step('20:00:10');
  await moveTo(at('20:10'));
  const freeze = { evidence: [], id: 'solar', what: 'account' };
  const asked = { reason: 'at the request of the regulator', nonce: 'f1' };
  await enter('freeze', { ...freeze, ...asked }, [issuing]);
  await moveTo(at('20:20'));
  await day.ledger.appendUnchecked(await brokenEntries(day));
  await step('20:20:10');
  await moveTo(at('20:40'));
  const thaw = { ...freeze, reason: 'the regulator has what it needs', nonce: 'u2' };
  await enter('unfreeze', thaw, [issuing]);
  await send(solarLater, 15, { '21:00': 1240 });
  await send(own, 12, { '21:00': 1600 });
  await step('21:00:10');
  await step('22:00:10');
  await step('23:00:10');
  await send(own, 11, { '20:00': 1500 }, { arrives: '23:10' });
  await step('23:10:10');
  await moveTo(at('23:20'));
  const late = { effect: 'accept-late', evidence: [], from: 11, kid: own.key.kid, to: 11 };
  const why = { reason: 'the gateway was replaced; its store was read on site', nonce: 'd4' };
  await enter('decision', { ...late, ...why }, [issuing]);
  await step('23:20:10');
}

/** What no ledger of ours would enter: a frozen account's `cancel`, and an `hour` without messages. */
async function brokenEntries({ pool, clock }: Day): Promise<Uint8Array[]> {
  const { state } = replayLog((await readDay(pool)).map(({ jcs }) => utf8(jcs)));
  const found = state.plants.get('solar');
  if (found?.latest === undefined) throw new Error('no hour to go on from');
  const spec = {
    account: 'solar',
    beneficiary: 'mill',
    items: [{ from: 6301, series: 'energy/solar', to: 6400 }],
    nonce: 'c2',
    notAfter,
    period: { from: at('16:00'), to: at('17:00') },
    purpose: 'more of the consumption of the mill',
  };
  const cancel = signedDraft({ kind: 'cancel', origin: testOrigin, spec }, [solarOwner]);
  const next = found.issuedWh + 1;
  const hour = {
    batchRoot: testHash('no batch'),
    certificates: { deficit: 0, issued: { from: next, to: next + 4999 }, netted: 0 },
    generation: 5000,
    interval: { seconds: 3600, start: at('19:00') },
    messages: 2,
    metersRoot: testHash('no records'),
    plant: 'solar',
    prev: found.latest,
    quality: 'measured',
  };
  const time = clock.nowS();
  return [
    encodeEntry({ ...cancel, time }),
    encodeEntry({ auth: [], kind: 'hour', spec: hour, time }),
  ];
}
