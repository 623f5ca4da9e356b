import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { parseEntry } from '#core/certificate/entry.ts';
import type { Judgement } from '#core/certificate/fold.ts';
import { encodeFramed } from '#core/energy/evidence-file.ts';
import { canonicalText } from '#core/jcs.ts';
import { createLog, testOrigin, testStartS, type LogBuilder } from './log-builder.ts';
import { arrive, commitHour, device, leafOf, sealHour } from './worked-hours.ts';
import type { Device, Sealed } from './worked-hours.ts';
import { workedProof } from './worked-proof.ts';

/**
 * The log whose entries FORMATS.md spells out: every kind of entry, signed by the test keys, with
 * messages that really prove what its hours state. Nothing in it is random, so the page, its test
 * and the proof file under test/vectors always agree.
 */
export interface WorkedLog {
  readonly entries: readonly WorkedEntry[];
  /** The hour of the plant `solar` from 10:00 to 11:00 as it was first sealed. */
  readonly firstHour: Sealed;
  /** The file that opens the mill's committed hour, and the salt in it. */
  readonly opening: Uint8Array;
  readonly salt: Uint8Array;
  readonly forkEvidence: Uint8Array;
  /** Of the units 1 to 400, under a checkpoint that covers the first entries. */
  readonly proofFile: Uint8Array;
}

export interface WorkedEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly judgement: Judgement;
}

interface Story {
  readonly log: LogBuilder;
  readonly entries: WorkedEntry[];
  readonly devices: readonly Device[];
  readonly solar: Device;
  readonly solarLater: Device;
  readonly mill: Device;
}

const minuteS = 60;
const dayS = 86_400;

/** Minutes from 2026-01-01T10:00:00Z, the start of the first hour that the worked log seals. */
const at = (minutes: number): number => testStartS + minutes * minuteS;

export function workedLog(): WorkedLog {
  const production = { meter: 'SOLAR-1', plant: 'solar', register: 'exportWh' };
  const solar = device('solar meter', production);
  const solarLater = device('solar meter 2', production);
  const mill = device('mill meter', { meter: 'MILL-1', plant: 'mill', register: 'importWh' });
  const devices = [solar, solarLater, mill];
  const log = createLog({ rules: { deadlineS: 2 * dayS } });
  const story: Story = { log, entries: [], devices, solar, solarLater, mill };
  enrol(story);
  const { firstHour, opening, salt } = firstHours(story);
  const proofFile = workedProof(
    story.entries.map(({ bytes }) => bytes),
    firstHour,
  );
  rotateKey(story);
  exchangeMeter(story);
  correct(story);
  const forkEvidence = forkKey(story);
  oversee(story);
  return { entries: story.entries, firstHour, opening, salt, forkEvidence, proofFile };
}

/** What FORMATS.md shows of the worked log, by the name of the example. */
export function workedExamples(worked: WorkedLog): ReadonlyMap<string, string> {
  const { entries, firstHour } = worked;
  const account = entries.find(({ name }) => name === 'account');
  if (account === undefined) throw new Error('no account');
  const { kind, spec } = parseEntry(account.bytes);
  const lines = (texts: readonly string[]): string => texts.join('\n');
  const width = String(entries.length).length;
  return new Map([
    ['signed-account', canonicalText({ kind, origin: testOrigin, spec })],
    [
      'worked-log',
      lines(
        entries.map(
          ({ name, judgement: { ref } }) =>
            `${String(ref.index).padStart(width)} ${ref.leafHash} ${name}`,
        ),
      ),
    ],
    ['hour-messages', lines(firstHour.messages.map(({ bytes }) => decodeUtf8(bytes)))],
    ['hour-records', lines(firstHour.records.map(decodeUtf8))],
    ['opening', toHex(worked.opening)],
    ['opening-salt', toHex(worked.salt)],
    ['fork-evidence', toHex(worked.forkEvidence)],
    ...entries.map(({ name, bytes }) => [`entry-${name}`, decodeUtf8(bytes)] as const),
  ]);
}

function put({ log, entries }: Story, name: string, judgement: Judgement): Judgement {
  const bytes = log.entries.at(-1);
  if (bytes === undefined) throw new Error('an entry without bytes');
  entries.push({ name, bytes, judgement });
  return judgement;
}

/** A nonce that tells in the example what it belongs to, and a day's time. */
function once({ log }: Story, nonce: string): { nonce: string; notAfter: number } {
  return { nonce, notAfter: log.time + dayS };
}

function seal({ log, devices }: Story, plant: string, start: number): Sealed {
  return sealHour(log, devices, { plant, start });
}

function putHour(story: Story, name: string, start: number): Sealed {
  const sealed = seal(story, 'solar', start);
  const { figures, roots } = sealed;
  const stated = { quality: figures.quality, spec: roots };
  put(story, name, story.log.hour('solar', start, { generation: figures.generationWh, ...stated }));
  return sealed;
}

function putCorrection(story: Story, name: string, start: number): void {
  const { figures, roots } = seal(story, 'solar', start);
  const stated = { quality: figures.quality, spec: roots };
  put(
    story,
    name,
    story.log.correct('solar', start, { generation: figures.generationWh, ...stated }),
  );
}

/** The log, its rules, and two parties with a plant, a meter and a key each. */
function enrol(story: Story): void {
  const { log, solar, mill } = story;
  log.time = testStartS - minuteS;
  put(story, 'genesis', log.genesis(once(story, 'g1')));
  const rules = { ...log.state.genesis?.rules, deadlineS: dayS, version: 2 };
  put(story, 'rules', log.enter('rules', { ...rules, ...once(story, 'r1') }));
  log.time = testStartS;
  // As in test/vectors/entries.json, which was made from the design alone.
  const identity = 'a18cd8d4c450c6d9f709c8d9ba30657e8987e3d308616dca0e98c5e6504a4ccc';
  put(story, 'account', log.account('solar', { identity, ...once(story, 'a1') }));
  const kept = { custody: 'operator', role: 'buyer' };
  put(story, 'account-kept', log.account('mill', { ...kept, ...once(story, 'a2') }));
  const official = { EIC: '11WSOLAR-1-----V' };
  put(story, 'plant', log.plant('solar', { official, ...once(story, 'p1') }));
  const site = {
    disclosure: 'committed',
    source: 'grid',
    technology: 'mill',
    type: 'consumption',
  };
  put(story, 'plant-committed', log.plant('mill', { ...site, ...once(story, 'p2') }));
  const production = {
    registers: { exportWh: { digits: 9, direction: 'export', obis: '1-0:2.8.0', unit: 'Wh' } },
    serial: 'SN-0001',
  };
  put(story, 'meter', log.meter('SOLAR-1', { ...production, ...once(story, 'm1') }));
  const consumption = {
    clock: 'unreliable',
    plant: 'mill',
    registers: { importWh: { direction: 'import', obis: '1-0:1.8.0', unit: 'Wh' } },
    role: 'consumption',
    serial: 'SN-0100',
  };
  put(story, 'meter-consumption', log.meter('MILL-1', { ...consumption, ...once(story, 'm2') }));
  put(story, 'key', log.key('SOLAR-1', { jwk: solar.key.jwk, ...once(story, 'k1') }));
  put(story, 'key-consumption', log.key('MILL-1', { jwk: mill.key.jwk, ...once(story, 'k2') }));
}

/** 10:00 to 11:00 of both, and certificates of the first that are cancelled for the second. */
function firstHours(story: Story): { firstHour: Sealed; opening: Uint8Array; salt: Uint8Array } {
  const { log, solar, mill } = story;
  arrive(solar, 1, [[at(0), 1000]]);
  arrive(solar, 2, [
    [at(15), 1100],
    [at(30), 1200],
  ]);
  arrive(solar, 3, [[at(60), 2000]]);
  arrive(mill, 1, [[at(0), 50_000]]);
  arrive(mill, 2, [[at(60), 50_700]]);
  log.time = at(60) + 10;
  const firstHour = putHour(story, 'hour', at(0));
  const { spec, opening, salt } = commitHour(log, seal(story, 'mill', at(0)), 1);
  put(story, 'hour-committed', log.enter('hour', spec));
  const cancelled = {
    account: 'solar',
    beneficiary: 'mill',
    items: [{ from: 1, series: 'energy/solar', to: 400 }],
    period: { from: at(0), to: at(60) },
    purpose: 'the consumption of the mill',
  };
  put(story, 'cancel', log.enter('cancel', { ...cancelled, ...once(story, 'c1') }));
  return { firstHour, opening, salt };
}

/** 11:00 to 12:00: the key is changed at 11:30, and nothing is read between 11:45 and 12:05. */
function rotateKey(story: Story): void {
  const { log, solar, solarLater } = story;
  arrive(solar, 4, [
    [at(75), 2200],
    [at(90), 2400],
  ]);
  log.time = at(91);
  const next = {
    jwk: solarLater.key.jwk,
    meter: 'SOLAR-1',
    notBefore: at(90),
    plant: 'solar',
  };
  put(story, 'key-next', log.enter('key', { ...next, ...once(story, 'k3') }));
  const end = { kid: solar.key.kid, lastSeq: 4, lastT: at(90) };
  put(story, 'key-end', log.enter('key-end', { ...end, ...once(story, 'k4') }));
  arrive(solarLater, 1, [[at(105), 2600]]);
  arrive(solarLater, 2, [[at(125), 3000]]);
  log.time = at(125) + 10;
  putHour(story, 'hour-partial', at(60));
}

/** 12:00 to 13:00: the meter is exchanged at 12:10. */
function exchangeMeter(story: Story): void {
  const { log, solarLater } = story;
  log.time = at(140);
  const exchange = {
    closing: { exportWh: 3100 },
    meter: 'SOLAR-1',
    opening: { exportWh: 0 },
    serial: 'SN-0002',
    t: at(130),
  };
  put(story, 'exchange', log.enter('exchange', { ...exchange, ...once(story, 'x1') }));
  arrive(solarLater, 3, [[at(180), 900]]);
  log.time = at(180) + 10;
  putHour(story, 'hour-exchange', at(120));
}

/** The reading of 11:00 is set aside: both hours that it proved are restated. */
function correct(story: Story): void {
  const { log, solar } = story;
  log.time = at(200);
  const decision = {
    effect: 'set-aside',
    evidence: [toHex(sha256(utf8('the inspection report')))],
    from: 3,
    kid: solar.key.kid,
    reason: 'the inspector found the reading of 11:00 to be mistaken',
    to: 3,
  };
  put(story, 'decision-set-aside', log.enter('decision', { ...decision, ...once(story, 'd1') }));
  putCorrection(story, 'hour-correction', at(0));
  putCorrection(story, 'hour-correction-next', at(60));
  const amends = log.state.plants.get('mill')?.hours.get(at(0))?.ref;
  const { spec } = commitHour(log, seal(story, 'mill', at(0)), 2);
  put(story, 'hour-correction-committed', log.enter('hour-correction', { ...spec, amends }));
}

/** Under seq 4 of the new key there are two messages; the hour that they prove waits for a decision. */
function forkKey(story: Story): Uint8Array {
  const { log, solarLater } = story;
  const kept = arrive(solarLater, 4, [[at(240), 1400]]);
  const other = arrive({ ...solarLater, arrived: [] }, 4, [[at(240), 9400]]);
  log.time = at(240) + 10;
  const file = encodeFramed([leafOf(kept), leafOf(other)]);
  const evidence = toHex(sha256(file));
  const { kid } = solarLater.key;
  put(story, 'fork', log.enter('fork', { evidence, kid, seq: 4 }));
  log.time = at(260);
  const decision = {
    effect: 'keep-fork',
    evidence: [evidence],
    hash: toHex(kept.parsed.hash),
    kid,
    reason: 'the gateway was restored from a backup; the meter itself reads 1400',
    seq: 4,
  };
  put(story, 'decision-keep-fork', log.enter('decision', { ...decision, ...once(story, 'd2') }));
  const thaw = { evidence: [], id: kid, reason: 'the fork is decided', what: 'key' };
  put(story, 'unfreeze', log.enter('unfreeze', { ...thaw, ...once(story, 'u1') }));
  putHour(story, 'hour-netted', at(180));
  return file;
}

/** The other decisions, a change, and an entry that breaks a rule. */
function oversee(story: Story): void {
  const { log, mill } = story;
  const late = {
    effect: 'accept-late',
    evidence: [],
    from: 1,
    kid: mill.key.kid,
    reason: 'the gateway stood in a warehouse for two months',
    to: 1,
  };
  put(story, 'decision-accept-late', log.enter('decision', { ...late, ...once(story, 'd3') }));
  const reset = {
    effect: 'break',
    evidence: [],
    meter: 'MILL-1',
    reason: 'the meter was reset on site',
    t: at(250),
  };
  put(story, 'decision-break', log.enter('decision', { ...reset, ...once(story, 'd4') }));
  const changes = { capacityW: 1_200_000, plant: 'solar', support: 'none' };
  put(story, 'plant-change', log.enter('plant-change', { ...changes, ...once(story, 'p3') }));
  const freeze = {
    evidence: [],
    id: 'solar',
    reason: 'at the request of the regulator',
    what: 'account',
  };
  put(story, 'freeze', log.enter('freeze', { ...freeze, ...once(story, 'f1') }));
  const cancelled = {
    account: 'solar',
    beneficiary: 'mill',
    items: [{ from: 1001, series: 'energy/solar', to: 1010 }],
    period: { from: at(60), to: at(120) },
    purpose: 'more of the consumption of the mill',
  };
  const broken = log.enter('cancel', { ...cancelled, ...once(story, 'c2') });
  put(story, 'broken', broken);
  put(story, 'void', log.void(broken));
}
