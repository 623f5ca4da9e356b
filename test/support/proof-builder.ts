import { sha256 } from '#crypto';
import { decodeUtf8, fromBase64Url, toHex, utf8 } from '#core/bytes.ts';
import type { Judgement } from '#core/certificate/fold.ts';
import {
  batchMessages,
  hourOfBatch,
  validAtOf,
  whyNotCounted,
  type MeterMessage,
} from '#core/certificate/hour-evidence.ts';
import type { SpecOf } from '#core/certificate/kinds.ts';
import type { Quality } from '#core/certificate/specs/hours.ts';
import type { Item } from '#core/certificate/specs/parts.ts';
import { encodeProof, type IncludedLeaf, type ProofParts } from '#core/certificate/proof/proof.ts';
import {
  issuedRangesOf,
  knownParts,
  noSeries,
  piecesWithin,
} from '#core/certificate/state/series.ts';
import { encodePiece, encodeStateLeaf, piecesAsOf } from '#core/certificate/state/state-tree.ts';
import { metersOfHour, type LogState } from '#core/certificate/state/state.ts';
import { compareLeaves, encodeMessageLeaf } from '#core/energy/batch.ts';
import { buildMessage, type Reading } from '#core/energy/message.ts';
import { meterLeaves, meterRecordOf, type MeterRecord } from '#core/energy/meter-record.ts';
import { canonicalBytes } from '#core/jcs.ts';
import type { Signer } from '#core/signer.ts';
import { cosignatureSigner, signCheckpoint } from '#core/tlog/checkpoint.ts';
import { cosignatureType, formatVkey, noteSigner } from '#core/tlog/note.ts';
import { parsePolicy, type Policy } from '#core/tlog/policy.ts';
import { inclusionPath, leafHash, treeRoot } from '#core/tlog/tree.ts';
import { createLog, testKey, testOrigin, testStartS, testVkey } from './log-builder.ts';
import type { LogBuilder, LogOptions } from './log-builder.ts';

/** Logs in memory whose hours rest on real messages, and the proof files of their certificates. */

const hourS = 3600;
const minuteS = 60;
/** A message arrives this long after its last reading. */
const travelS = 5;

interface Arrived extends MeterMessage {
  readonly plant: string;
  readonly bytes: Uint8Array;
}

export interface SendOptions {
  readonly signer?: Signer;
  /** Where it differs from the meter's last one plus one. */
  readonly seq?: number;
  readonly receivedAt?: number;
  /** What the message says otherwise than it should. */
  readonly change?: Partial<{ log: string; plant: string; meter: string }>;
}

/** How a dishonest log seals: each member alone makes the entry say what its evidence does not. */
export interface SealOptions {
  /** Also messages that do not count. */
  readonly all?: boolean;
  readonly records?: (records: readonly MeterRecord[]) => readonly MeterRecord[];
  readonly energy?: { readonly generation?: number; readonly quality?: Quality };
  readonly spec?: object;
  readonly certificates?: object;
}

interface Sealed {
  readonly judgement: Judgement;
  readonly messages: readonly Arrived[];
  readonly records: readonly MeterRecord[];
}

export interface ProofLog {
  readonly log: LogBuilder;
  /** What was sealed, by the index of its entry. */
  readonly sealed: ReadonlyMap<number, Sealed>;
  readonly send: (meter: string, readings: readonly Reading[], options?: SendOptions) => void;
  readonly seal: (plant: string, start: number, options?: SealOptions) => Sealed;
  readonly correct: (plant: string, start: number, options?: SealOptions) => Sealed;
  /** Entries that concern nobody: they only make the tree larger. */
  readonly fill: (count: number) => void;
  /** Enters a `state` as of all that is in the log, or as `spec` says. */
  readonly state: (spec?: Partial<SpecOf<'state'>>) => Judgement;
  readonly parts: (bundle: Item, options?: PartsOptions) => ProofParts;
}

export interface PartsOptions {
  /** Tree size of the checkpoint; by default that which ends with the newest state, or the whole log. */
  readonly size?: number;
  /** Index of the entry that is said to have issued the bundle. */
  readonly hour?: number;
  readonly entries?: (indexes: readonly number[]) => readonly number[];
  readonly cosigners?: readonly string[];
}

export function createProofLog(options: LogOptions = {}): ProofLog {
  const log = createLog(options);
  const arrived: Arrived[] = [];
  const sealed = new Map<number, Sealed>();

  function send(meter: string, readings: readonly Reading[], sending: SendOptions = {}): void {
    const state = log.state.meters.get(meter);
    if (state === undefined) throw new Error(`no meter ${meter}`);
    const { signer = keyOfMeter(log, meter), change } = sending;
    const { kid } = signer;
    const seq = sending.seq ?? arrived.filter((one) => one.kid === kid).length + 1;
    const { plant } = state.spec;
    const message = { log: testOrigin, meter, plant, readings, seq, v: 1 as const, ...change };
    const bytes = utf8(buildMessage(signer, message));
    const receivedAt = sending.receivedAt ?? (readings.at(-1)?.t ?? 0) + travelS;
    const validAt = validAtOf(state, readings);
    arrived.push({ plant, meter, kid, seq, receivedAt, readings, validAt, bytes });
  }

  function evidence(plant: string, start: number, { all = false }: SealOptions) {
    const rules = log.state.genesis?.rules;
    const counts = (one: Arrived): boolean => {
      const key = log.state.keys.get(one.kid);
      const meter = log.state.meters.get(one.meter);
      if (all || rules === undefined || key === undefined || meter === undefined) return true;
      return whyNotCounted({ key, meter }, one, rules) === undefined;
    };
    const meters = metersOfHour(log.state, plant, start).map(([meter]) => meter);
    const messages = meters
      .flatMap((meter) => {
        const own = arrived.filter((one) => one.meter === meter && counts(one));
        return batchMessages(own, start);
      })
      .sort(compareLeaves);
    const hour = hourOfBatch(log.state, { plant, start }, { messages, disputes: new Map() });
    const records = hour.meters.map((meterHour) =>
      meterRecordOf(meterHour, {
        start,
        keys: (log.state.meters.get(meterHour.meter)?.kids ?? []).map((kid) => ({
          chain: toHex(sha256(utf8(kid))),
          kid,
          missing: [],
          throughSeq: messages.findLast((one) => one.kid === kid)?.seq ?? 0,
        })),
        leafOf: ({ kid, seq }) => messages.findIndex((one) => one.kid === kid && one.seq === seq),
      }),
    );
    return { hour, messages, records };
  }

  function enter(
    kind: 'hour' | 'correct',
    { plant, start }: { plant: string; start: number },
    sealing: SealOptions,
  ): Sealed {
    const { hour, messages, records: honest } = evidence(plant, start, sealing);
    const records = sealing.records?.(honest) ?? honest;
    const judgement = log[kind](plant, start, {
      generation: hour.generationWh,
      quality: hour.quality,
      ...sealing.energy,
      ...(sealing.certificates !== undefined && { certificates: sealing.certificates }),
      spec: {
        batchRoot: toHex(treeRoot(leavesOf(messages).map(leafHash))),
        messages: messages.length,
        metersRoot: toHex(treeRoot(meterLeaves(records).map(leafHash))),
        ...(hour.co2G !== undefined && { co2G: hour.co2G }),
        ...(hour.operatingS !== undefined && { operatingS: hour.operatingS }),
        ...(hour.validS !== undefined && { validS: hour.validS }),
        ...(hour.consumptionWh !== undefined && { consumption: hour.consumptionWh }),
        ...sealing.spec,
      },
    });
    const result = { judgement, messages, records };
    sealed.set(judgement.ref.index, result);
    return result;
  }

  return {
    log,
    sealed,
    send,
    seal: (plant, start, sealing = {}) => enter('hour', { plant, start }, sealing),
    correct: (plant, start, sealing = {}) => enter('correct', { plant, start }, sealing),
    fill(count) {
      for (let i = 0; i < count; i++) log.append(utf8(`filler ${log.entries.length}`));
    },
    state(spec = {}) {
      const asOf = log.entries.length;
      const leaves = stateLeaves(log.state, asOf);
      const root = toHex(treeRoot(leaves.map(leafHash)));
      return log.enter('state', { asOf, count: leaves.length, root, ...spec });
    },
    parts(bundle, { size = newestSize(log), hour, entries = same, cosigners = [] } = {}) {
      const issuing = hour ?? issuingIndex(log, bundle);
      const shown = shownState(log.state, bundle, size);
      const stated = shown === undefined ? [] : [shown.entry];
      const indexes = entries([
        ...new Set([...entriesFor(log, bundle), issuing, ...stated]),
      ]).toSorted((a, b) => a - b);
      const { messages = [], records = [] } = sealed.get(issuing) ?? {};
      return {
        bundle,
        checkpoint: checkpointOf(log, size, cosigners),
        entries: includedIn(log.entries.slice(0, size), indexes),
        hour: issuing,
        messages: shownMessages(messages, records),
        records: includedIn(meterLeaves(records)),
        state: shown,
      };
    },
  };
}

function newestSize({ state, entries }: LogBuilder): number {
  return state.latestState === undefined ? entries.length : state.latestState.ref.index + 1;
}

const same = <T>(given: T): T => given;

function keyOfMeter(log: LogBuilder, meter: string): Signer {
  return testKey(`${meter} key ${(log.state.meters.get(meter)?.kids.length ?? 1) - 1}`);
}

function leavesOf(messages: readonly Arrived[]): Uint8Array[] {
  return messages.map(({ receivedAt, bytes }) => encodeMessageLeaf({ receivedAt, bytes }));
}

/** Every leaf of the state tree, as of a size; all of them are hashed again each time. */
function stateLeaves({ stateTree }: LogState, asOf: number): Uint8Array[] {
  return [...stateTree.ranges]
    .filter(({ index }) => index < asOf)
    .map((issued) => {
      const pieces = piecesAsOf(stateTree, issued, asOf).map(encodePiece);
      return encodeStateLeaf(issued, treeRoot(pieces.map(leafHash)));
    });
}

/** What the newest `state` among the first `size` entries says of a bundle. */
function shownState(log: LogState, { series, from, to }: Item, size: number): ProofParts['state'] {
  const stated = log.latestState;
  if (stated === undefined || stated.ref.index >= size) return undefined;
  const { asOf, ref } = stated;
  const issued = [...log.stateTree.ranges].find(
    (range) => range.series === series && range.from <= from && range.to >= to,
  );
  if (issued === undefined || issued.index >= asOf) return undefined;
  const pieces = piecesAsOf(log.stateTree, issued, asOf);
  const covering = [...pieces.keys()].filter((i) => {
    const piece = pieces[i];
    return piece !== undefined && piece.from <= to && piece.to >= from;
  });
  const [leaf] = includedIn(stateLeaves(log, asOf), [issued.position]);
  if (leaf === undefined) return undefined;
  return {
    entry: ref.index,
    leaf,
    pieces: includedIn(pieces.map(encodePiece), covering),
    size: pieces.length,
  };
}

/** Those leaves with their paths, in a tree of `leaves` alone. */
function includedIn(
  leaves: readonly Uint8Array[],
  indexes: Iterable<number> = leaves.keys(),
): IncludedLeaf[] {
  const hashes = leaves.map(leafHash);
  return [...new Set(indexes)].flatMap((index) => {
    const data = leaves[index];
    return data === undefined ? [] : [{ data, index, path: inclusionPath(hashes, index) }];
  });
}

function shownMessages(
  messages: readonly Arrived[],
  records: readonly MeterRecord[],
): ProofParts['messages'] {
  const ends = records
    .flatMap(({ segments }) => segments)
    .flatMap(({ first, last }) => [first, last]);
  const shown = ends.flatMap((end) => ('leaf' in end ? [end.leaf] : [])).sort((a, b) => a - b);
  return includedIn(leavesOf(messages), shown).flatMap(({ index, path }) => {
    const message = messages[index];
    if (message === undefined) return [];
    const { bytes, receivedAt } = message;
    return [{ index, jws: decodeUtf8(bytes), path, receivedAt }];
  });
}

function issuingIndex({ state }: LogBuilder, { series, from, to }: Item): number {
  const [issued] = issuedRangesOf(state.series.get(series) ?? noSeries, { from, to });
  return issued?.index ?? 0;
}

/** Every entry that the rules consult for a bundle (D3.5). */
function entriesFor({ state }: LogBuilder, bundle: Item): readonly number[] {
  const series = state.series.get(bundle.series) ?? noSeries;
  // Of units that were never issued, which a dishonest log may sell all the same, nothing is known.
  const known = knownParts(series, bundle);
  const pieces = known.flatMap((part) => piecesWithin(series, part));
  const plant = state.plants.get(bundle.series.slice('energy/'.length));
  const accounts = new Set([plant?.spec.account ?? '', ...pieces.map(({ owner }) => owner)]);
  const starts = known.flatMap((part) =>
    issuedRangesOf(series, part).map(({ hourStart }) => hourStart),
  );
  return [
    ...(state.genesis?.entries ?? []),
    ...(plant?.entries ?? []),
    ...[...accounts].flatMap((account) => state.accounts.get(account)?.entries ?? []),
    ...starts.flatMap((start) => plant?.hours.get(start)?.versions ?? []),
    ...pieces.map(({ lastIndex }) => lastIndex),
  ];
}

/** The signed note of a log's first `size` entries, cosigned by witnesses of those names. */
export function checkpointOf(
  { entries, time }: LogBuilder,
  size: number,
  cosigners: readonly string[] = [],
): string {
  const root = treeRoot(entries.slice(0, size).map(leafHash));
  const signers = cosigners.map((name) => cosignatureSigner(name, testKey(name), time));
  const log = noteSigner(testOrigin, testKey('log'));
  return decodeUtf8(signCheckpoint({ origin: testOrigin, size, root }, [log, ...signers]));
}

export function witnessVkey(name: string): string {
  const publicKey = fromBase64Url(testKey(name).jwk.x);
  return formatVkey({ name, type: cosignatureType, publicKey });
}

/** Witnesses of the tests: the name of the second says that it audits. */
export const plainWitness = 'witness.example/plain';
export const auditingWitness = 'witness.example/audit';

/** A policy that needs all of `witnesses`; of none, it says `quorum none`. */
export function policyOf(witnesses: readonly string[], logVkey = testVkey()): Policy {
  return parsePolicy(policyTextOf(witnesses, logVkey));
}

export function policyTextOf(witnesses: readonly string[], logVkey = testVkey()): string {
  const group = `group everyone all ${witnesses.map((_, i) => `w${i}`).join(' ')}`;
  return [
    `log ${logVkey}`,
    ...witnesses.map((name, i) => `witness w${i} ${witnessVkey(name)}`),
    ...(witnesses.length === 0 ? ['quorum none'] : [group, 'quorum everyone']),
    '',
  ].join('\n');
}

/** A production and an auxiliary meter of one plant, each with a key. */
export const productionMeter = 'SOLAR-P';
export const auxiliaryMeter = 'SOLAR-AUX';
export const solarSeries = 'energy/solar';

/** Wh in a minute, as both meters run in the honest log. */
const exportPerMinuteWh = 10;
const importPerMinuteWh = 1;

/** Of a meter's register, one reading a minute for `minutes` from `fromMinute` after the first hour. */
export function everyMinute(
  register: 'exportWh' | 'importWh',
  fromMinute: number,
  minutes: number,
): Reading[] {
  const perMinute = register === 'exportWh' ? exportPerMinuteWh : importPerMinuteWh;
  return Array.from({ length: minutes }, (_, i) => {
    const minute = fromMinute + i;
    const value = 1_000 + minute * perMinute;
    return { registers: { [register]: value }, t: testStartS + minute * minuteS };
  });
}

/** Genesis, rules, the account, plant, meters and keys of `solar`, all before the first hour. */
export function enrolSolar({ log, fill }: ProofLog, account: object = {}): void {
  log.genesis();
  const rules = { ...log.state.genesis?.rules, version: 2 };
  log.enter('rules', { ...rules, ...log.once() });
  log.account('solar', account);
  fill(3);
  log.plant('solar');
  log.meter(productionMeter);
  log.meter(auxiliaryMeter, {
    registers: { importWh: { direction: 'import', unit: 'Wh' } },
    role: 'auxiliary',
  });
  for (const meter of [productionMeter, auxiliaryMeter]) {
    testKey(`${meter} key 0`);
    log.key(meter);
  }
}

/** Both meters send 15 readings a message through `hours` hours and the quarter after them. */
export function sendHours({ send }: Pick<ProofLog, 'send'>, hours: number): void {
  for (let minute = 0; minute <= hours * 60; minute += 15) {
    send(productionMeter, everyMinute('exportWh', minute, 15));
    send(auxiliaryMeter, everyMinute('importWh', minute, 15));
  }
}

/** Start of the hour whose certificates the honest proofs are of: the second one that is sealed. */
export const provedStartS = testStartS + hourS;

export interface HonestOptions {
  /** Entries before and after the hour that only make paths longer. */
  readonly fillers?: number;
}

/** A log in which `solar` has sealed three hours of 540 Wh each. */
export function honestLog({ fillers = 5 }: HonestOptions = {}): ProofLog {
  const made = createProofLog();
  enrolSolar(made);
  sendHours(made, 3);
  made.log.time = testStartS + 4 * hourS;
  made.fill(fillers);
  for (let hour = 0; hour < 3; hour++) made.seal('solar', testStartS + hour * hourS);
  made.fill(fillers);
  requireSound(made);
  return made;
}

/** Fillers break the rule that an entry is one; nothing else may break any. */
export function requireSound({ log }: ProofLog): void {
  for (const [index, { code, message }] of log.state.violations) {
    if (!decodeUtf8(log.entries[index] ?? new Uint8Array()).startsWith('filler')) {
      throw new Error(`entry ${index}: ${code}: ${message}`);
    }
  }
}

/** Units of the second hour: the first issued 1 to 540. */
export const honestBundle: Item = { series: solarSeries, from: 541, to: 1080 };

export function honestProof(options: PartsOptions & HonestOptions = {}): Uint8Array {
  return encodeProof(honestLog(options).parts(honestBundle, options));
}

/** A proof file as data that a test changes. */
export interface ProofJson {
  bundle: { series: string; from: number; to: number };
  checkpoint: string;
  entries: { data: string; index: number; path: string[] }[];
  format: string;
  hour: number;
  messages: { index: number; jws: string; path: string[]; receivedAt: number }[];
  records: { data: string; index: number; path: string[] }[];
  state?: { entry: number; leaf: { data: string; index: number; path: string[] } };
  sum?: string;
}

export function openProof(file: Uint8Array): ProofJson {
  return JSON.parse(decodeUtf8(file)) as ProofJson;
}

/** The bytes of a changed proof with a sum that fits, whatever it says: step 1 is no hindrance. */
export function sealProof(proof: unknown): Uint8Array {
  const { sum: _sum, ...body } = proof as ProofJson;
  return canonicalBytes({ ...body, sum: toHex(sha256(canonicalBytes(body))) });
}

/** A copy of a proof, changed and with its sum recomputed. */
export function changeProof(file: Uint8Array, change: (proof: ProofJson) => void): Uint8Array {
  const proof = openProof(file);
  change(proof);
  return sealProof(proof);
}

/** The smallest log that issues: one meter, one reading a message, nothing around it. */
export function smallLog(): ProofLog {
  const made = createProofLog();
  const { log, send } = made;
  log.genesis();
  log.account('solar');
  log.plant('solar');
  log.meter(productionMeter);
  testKey(`${productionMeter} key 0`);
  log.key(productionMeter);
  for (const minute of [0, 60]) send(productionMeter, everyMinute('exportWh', minute, 1));
  log.time = testStartS + 2 * hourS;
  made.seal('solar', testStartS);
  requireSound(made);
  return made;
}

export const smallBundle: Item = { series: solarSeries, from: 1, to: 600 };
