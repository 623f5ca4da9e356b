import { sha256 } from '#crypto';
import { fromBase64Url, toHex, utf8 } from '#core/bytes.ts';
import { encodeEntry, signAction, type EntryRef } from '#core/certificate/entry.ts';
import { advance, type AdvanceOptions, type Judgement } from '#core/certificate/fold.ts';
import { unsignedKinds, type Kind } from '#core/certificate/kinds.ts';
import type { Quality } from '#core/certificate/specs/hours.ts';
import type { Item } from '#core/certificate/specs/parts.ts';
import type { SpecOf } from '#core/certificate/kinds.ts';
import type { Rules } from '#core/certificate/specs/log.ts';
import type { Range } from '#core/certificate/specs/parts.ts';
import { certificatesOf, nextUnitOf } from '#core/certificate/rules/movement.ts';
import { planCorrection, planIssue } from '#core/certificate/rules/movement.ts';
import { accountKeyAt, emptyState } from '#core/certificate/state/state.ts';
import type { LogState, PlantState } from '#core/certificate/state/state.ts';
import type { Alg } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import { formatVkey, ed25519Type } from '#core/tlog/note.ts';

/** Where and when the logs of the tests live: 2026-01-01T10:00:00Z, the start of an hour. */
export const testOrigin = 'log.example/hourseal/2026';
export const testStartS = 1_767_261_600;
const dayS = 86_400;
const farS = 4_102_444_800;

const signers = new Map<string, Signer>();

/** The test key of that name, derived as in test/vectors/keys.json. */
export function testKey(name: string, alg: Alg = 'Ed25519'): Signer {
  const found = signers.get(`${alg} ${name}`);
  if (found !== undefined) return found;
  const made = signerFromSeed(sha256(utf8(`hourseal test key ${name}`)), alg);
  signers.set(`${alg} ${name}`, made);
  return made;
}

export const testHash = (name: string): string => toHex(sha256(utf8(name)));

export const testRules: Rules = {
  capacityPpm: 1_100_000,
  correctWithinS: 45 * dayS,
  deadlineS: dayS,
  eligibleSources: ['solar', 'wind', 'hydro'],
  futureS: 120,
  kinds: [
    ...['accept', 'account', 'account-key', 'cancel', 'decision', 'exchange', 'fork', 'freeze'],
    ...['emission', 'emission-correction', 'factors'],
    ...['hour', 'hour-correction', 'ingestion-key', 'issuer-key', 'key', 'key-end', 'lock'],
    ...['log-close', 'log-key', 'meter', 'meter-change', 'offer', 'plant', 'plant-change'],
    ...['policy', 'refuse', 'rules', 'settle', 'state', 'unfreeze', 'unlock', 'void', 'withdraw'],
  ],
  lateAfterS: 45 * dayS,
  version: 1,
};

export function testVkey(origin = testOrigin, name = 'log'): string {
  const publicKey = fromBase64Url(testKey(name).jwk.x);
  return formatVkey({ name: origin, type: ed25519Type, publicKey });
}

/** Everything that one entry can have wrong, each to be set alone. */
export interface EntryOverrides extends AdvanceOptions {
  /** Who signs; by default those whom D3.3 names for the kind. */
  readonly signedBy?: readonly Signer[];
  /** What they sign, where it is not this entry. */
  readonly signedAs?: { readonly kind?: string; readonly origin?: string; readonly spec?: object };
  readonly auth?: (auth: readonly string[]) => readonly string[];
  /** Entry time; by default the builder's `time`. */
  readonly time?: number;
  /** The last change before the entry is appended. */
  readonly bytes?: (bytes: Uint8Array) => Uint8Array;
}

export interface HourChange {
  /** Wh; alone, it stands for the whole. */
  readonly generation: number;
  readonly quality?: Quality;
  /** Members of `spec` to state otherwise than they follow from the state of the log. */
  readonly spec?: object;
  readonly certificates?: object;
  readonly entry?: EntryOverrides;
}

export interface LogBuilder {
  readonly state: LogState;
  readonly entries: readonly Uint8Array[];
  /** The time of the next entry; move it forward as a test needs. */
  time: number;
  /** Appends an entry of any kind and spec; nothing is checked but by `advance` itself. */
  readonly enter: (kind: string, spec: object, overrides?: EntryOverrides) => Judgement;
  /** Appends bytes as they are. */
  readonly append: (bytes: Uint8Array, options?: AdvanceOptions) => Judgement;
  /** Bytes of an entry that is not appended. */
  readonly encode: (kind: string, spec: object, overrides?: EntryOverrides) => Uint8Array;
  /** A `nonce` and `notAfter` for one signed spec. */
  readonly once: () => { readonly nonce: string; readonly notAfter: number };
  readonly genesis: (change?: object, overrides?: EntryOverrides) => Judgement;
  readonly account: (name: string, change?: object, overrides?: EntryOverrides) => Judgement;
  readonly plant: (name: string, change?: object, overrides?: EntryOverrides) => Judgement;
  readonly meter: (name: string, change?: object, overrides?: EntryOverrides) => Judgement;
  /** Registers the test key `<meter> key <n>` for a meter. */
  readonly key: (meter: string, change?: object, overrides?: EntryOverrides) => Judgement;
  readonly hour: (plant: string, start: number, said: number | HourChange) => Judgement;
  readonly correct: (plant: string, start: number, said: number | HourChange) => Judgement;
  readonly cancel: (
    account: string,
    items: readonly Item[],
    overrides?: EntryOverrides,
  ) => Judgement;
  readonly void: (judgement: Judgement, change?: object) => Judgement;
}

export interface LogOptions {
  /** Names of the issuing body's test keys. */
  readonly issuers?: readonly string[];
  readonly threshold?: number;
  readonly rules?: Partial<Rules>;
  readonly partial?: boolean;
}

/** An empty log in memory. `state` is folded by `advance` as entries come in. */
export function createLog({
  issuers = ['issuing body'],
  threshold = issuers.length,
  rules = {},
  partial = false,
}: LogOptions = {}): LogBuilder {
  const state = emptyState({ partial });
  const entries: Uint8Array[] = [];
  const nonceOf = (count: number): string => `n${entries.length}-${count}`;
  let nonces = 0;

  /** As many as must, of the keys that the issuing body has by now. */
  const issuing = (): readonly Signer[] =>
    state.genesis === undefined
      ? issuers.slice(0, threshold).map((name) => testKey(name))
      : state.genesis.issuers
          .slice(0, state.genesis.threshold)
          .flatMap(({ kid }) => holdersOf(kid));
  const acting = (account: string): readonly Signer[] => {
    const found = state.accounts.get(account);
    if (found === undefined) return [testKey(`${account} account`)];
    return holdersOf(accountKeyAt(found, builder.time).kid);
  };
  const owner = (plant: string): readonly Signer[] =>
    acting(state.plants.get(plant)?.spec.account ?? plant);
  const plantOfMeter = (meter: string): string => state.meters.get(meter)?.spec.plant ?? meter;

  /** Those whom D3.3 names, as far as the spec says who they are. */
  function signersOf(
    kind: string,
    spec: Readonly<Record<string, unknown>> & { jwk?: unknown; add?: unknown; cause?: unknown },
  ): readonly Signer[] {
    const named = (member: string): string => String(spec[member]);
    switch (kind) {
      case 'account':
        return [...issuing(), testKey(`${named('account')} account`)];
      case 'account-key':
        return spec.cause === 'loss' ? issuing() : acting(named('account'));
      case 'cancel':
      case 'offer':
      case 'accept':
      case 'refuse':
      case 'settle':
        return acting(named('account'));
      case 'issuer-key':
        return [...issuing(), ...keySigners(spec.add)];
      case 'plant':
        return [...issuing(), ...acting(named('account'))];
      case 'plant-change':
      case 'meter':
        return [...issuing(), ...owner(named('plant'))];
      case 'exchange':
      case 'meter-change':
        return [...issuing(), ...owner(plantOfMeter(named('meter')))];
      case 'key':
        return [...issuing(), ...owner(named('plant')), ...keySigners(spec.jwk)];
      case 'key-end':
        return [...issuing(), ...owner(state.keys.get(named('kid'))?.spec.plant ?? '')];
      default:
        return unsignedKinds.has(kind as Kind) ? [] : issuing();
    }
  }

  const builder: LogBuilder = {
    state,
    entries,
    time: testStartS,
    once: () => ({ nonce: nonceOf(++nonces), notAfter: farS }),
    encode(kind, spec, { signedBy, signedAs, auth = same, time, bytes = same } = {}) {
      const action = { kind, origin: testOrigin, spec, ...signedAs };
      const by = signedBy ?? signersOf(kind, spec as Readonly<Record<string, unknown>>);
      const signatures = by.map((signer) => signAction(signer, action));
      return bytes(encodeEntry({ auth: auth(signatures), kind, spec, time: time ?? builder.time }));
    },
    append(bytes, options) {
      entries.push(bytes);
      return advance(state, bytes, options);
    },
    enter: (kind, spec, overrides = {}) =>
      builder.append(builder.encode(kind, spec, overrides), overrides),
    genesis: (change, overrides) =>
      builder.enter(
        'genesis',
        {
          formatVersion: 1,
          ingestionKey: testKey('ingestion').jwk,
          issuers: { keys: issuers.map((name) => testKey(name).jwk), threshold },
          logKey: testVkey(),
          origin: testOrigin,
          rules: { ...testRules, ...rules },
          ...builder.once(),
          ...change,
        } satisfies SpecOf<'genesis'>,
        overrides,
      ),
    account: (account, change, overrides) =>
      builder.enter(
        'account',
        {
          account,
          custody: 'own',
          identity: testHash(account),
          jwk: testKey(`${account} account`).jwk,
          role: 'plant',
          ...builder.once(),
          ...change,
        } satisfies SpecOf<'account'>,
        overrides,
      ),
    plant: (plant, change, overrides) =>
      builder.enter(
        'plant',
        {
          account: plant,
          capacityW: 1_000_000,
          commissionedAt: testStartS - 30 * dayS,
          disclosure: 'public',
          latitude: 480_000_000,
          longitude: 110_000_000,
          plant,
          source: 'solar',
          technology: 'photovoltaic',
          type: 'production',
          zone: 'DE',
          ...builder.once(),
          ...change,
        } satisfies SpecOf<'plant'>,
        overrides,
      ),
    meter: (meter, change, overrides) =>
      builder.enter(
        'meter',
        {
          clock: 'reliable',
          meter,
          plant: 'solar',
          registers: { exportWh: { direction: 'export', unit: 'Wh' } },
          role: 'production',
          serial: `serial-${meter}`,
          ...builder.once(),
          ...change,
        } satisfies SpecOf<'meter'>,
        overrides,
      ),
    key: (meter, change, overrides) =>
      builder.enter(
        'key',
        {
          jwk: testKey(`${meter} key ${state.meters.get(meter)?.kids.length ?? 0}`).jwk,
          meter,
          notBefore: testStartS,
          plant: plantOfMeter(meter),
          ...builder.once(),
          ...change,
        } satisfies SpecOf<'key'>,
        overrides,
      ),
    hour(plant, start, said) {
      const { generation, quality = 'measured', spec, certificates, entry } = changeOf(said);
      const energy = { generation, quality, interval: { seconds: 3600, start } } as const;
      const due = moved(builder, plant, (found, place) => planIssue(found, energy, place));
      return builder.enter(
        'hour',
        {
          ...hourSpec(builder, plant, energy),
          certificates: { ...due.certificates, ...certificates },
          ...spec,
        },
        entry,
      );
    },
    correct(plant, start, said) {
      const { generation, quality = 'measured', spec, certificates, entry } = changeOf(said);
      const energy = { generation, quality, interval: { seconds: 3600, start } } as const;
      const due = moved(builder, plant, (found, place) => planCorrection(found, energy, place));
      return builder.enter(
        'hour-correction',
        {
          ...hourSpec(builder, plant, energy),
          amends: state.plants.get(plant)?.hours.get(start)?.ref ?? noRef,
          certificates: { ...due.certificates, withdrawn: due.withdrawn, ...certificates },
          ...spec,
        },
        entry,
      );
    },
    cancel: (account, items, overrides) =>
      builder.enter(
        'cancel',
        {
          account,
          beneficiary: 'buyer',
          items,
          period: { from: testStartS, to: testStartS + dayS },
          purpose: 'own use',
          ...builder.once(),
        } satisfies SpecOf<'cancel'>,
        overrides,
      ),
    void: ({ ref, violation }, change) =>
      builder.enter('void', { code: violation?.code ?? 'none', ...ref, ...change }),
  };
  return builder;
}

const same = <T>(given: T): T => given;

const noRef: EntryRef = { index: 0, leafHash: '0'.repeat(64) };

/** Keys of the tests sign for themselves where they are entered. */
function keySigners(jwk: unknown): readonly Signer[] {
  const x = (jwk as { readonly x?: unknown } | undefined)?.x;
  return [...signers.values()].filter((signer) => signer.jwk.x === x);
}

function holdersOf(kid: string): readonly Signer[] {
  return [...signers.values()].filter((signer) => signer.kid === kid);
}

const changeOf = (said: number | HourChange): HourChange =>
  typeof said === 'number' ? { generation: said } : said;

interface Energy {
  readonly generation: number;
  readonly quality: Quality;
  readonly interval: { readonly seconds: 3600; readonly start: number };
}

function hourSpec({ state }: LogBuilder, plant: string, energy: Energy): object {
  const latest = state.plants.get(plant)?.latest;
  return {
    ...energy,
    batchRoot: testHash(`batch ${plant} ${energy.interval.start}`),
    messages: 4,
    metersRoot: testHash(`meters ${plant} ${energy.interval.start}`),
    plant,
    ...(latest === undefined ? {} : { prev: latest }),
  };
}

type Plan = (
  plant: PlantState,
  place: { state: LogState; ref: EntryRef; time: number },
) => ReturnType<typeof planIssue>;

/** What the rules themselves say is due, so that a test need only state what it breaks. */
function moved(
  { state, time }: LogBuilder,
  plant: string,
  plan: Plan,
): { readonly certificates: object; readonly withdrawn: readonly Range[] } {
  const found = state.plants.get(plant);
  if (found === undefined || state.genesis === undefined) {
    return { certificates: { deficit: 0, netted: 0 }, withdrawn: [] };
  }
  const movement = plan(found, { state, ref: noRef, time });
  return {
    certificates: certificatesOf(movement, nextUnitOf({ state }, plant)),
    withdrawn: movement.withdrawn,
  };
}

/**
 * A log with a solar plant, a wind farm and a factory, each with its account, meter and key: seven
 * entries a party, all at `testStartS`, so that the hour from there on is the first to be sealed.
 */
export function createBusyLog(options: LogOptions = {}): LogBuilder {
  const name = JSON.stringify(options);
  const log = createLog(options);
  const known = busyLogs.get(name);
  if (known === undefined) fill(log);
  else for (const bytes of known) log.append(bytes, { signatures: 'trust' });
  busyLogs.set(name, log.entries.slice());
  log.time = testStartS + dayS;
  return log;
}

/** Signing and verifying the same entries for every test would be most of what the tests do. */
const busyLogs = new Map<string, readonly Uint8Array[]>();

function fill(log: LogBuilder): void {
  log.genesis();
  for (const name of ['solar', 'wind', 'factory']) log.account(name);
  log.plant('solar');
  log.plant('wind', { source: 'wind', technology: 'onshore' });
  log.plant('factory', { type: 'consumption', source: 'grid', disclosure: 'committed' });
  log.meter('SOLAR-1');
  log.meter('WIND-1', { plant: 'wind' });
  log.meter('FACTORY-1', { plant: 'factory', role: 'consumption' });
  for (const meter of ['SOLAR-1', 'WIND-1', 'FACTORY-1']) log.key(meter);
  const broken = [...log.state.violations.values()];
  if (broken.length > 0) throw new Error(`createBusyLog: ${broken[0]?.message ?? ''}`);
}

/** A plain copy of a state that can be compared and printed: maps and sets as lists, no functions. */
export function snapshot(value: unknown): unknown {
  if (typeof value === 'function') return undefined;
  if (value instanceof Uint8Array) return toHex(value);
  if (value instanceof Map) {
    return [...(value as Map<unknown, unknown>)].map(([name, item]) => [name, snapshot(item)]);
  }
  if (typeof value !== 'object' || value === null) return value;
  // An array, a set, or the rows of a table, whose own members show none of them.
  if (Symbol.iterator in value) return [...(value as Iterable<unknown>)].map(snapshot);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, snapshot(item)]));
}

/** What no void entry may change: all but `violations`, `size` and the chains of hours and states. */
export function soundPart(state: LogState): unknown {
  const plants = [...state.plants].map(([name, { latest: _latest, ...plant }]) => [name, plant]);
  return snapshot({ ...state, size: 0, stateAsOf: 0, violations: [], plants });
}
