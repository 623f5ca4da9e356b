import { Refused } from '../errors.ts';
import type { Jws } from '../jws.ts';
import { verifyJws } from '../jws.ts';
import { parsePublicJwk, type PublicKey } from '../keys.ts';
import { leafHashHex } from '../tlog/tree.ts';
import { concernedBy } from './concerns.ts';
import { parseAuth, type Entry, type EntryRef } from './entry.ts';
import { isKnownKind, specOf, unsignedKinds, type Kind } from './kinds.ts';
import { readEntry, type ReadEntry } from './read-entry.ts';
import { account, accountKey, key, keyEnd, plant, plantChange } from './rules/register.ts';
import { exchange, meter, meterChange } from './rules/meters.ts';
import { hour, hourCorrection } from './rules/hours.ts';
import { emission, emissionCorrection, factors } from './rules/emissions.ts';
import { lock, unlock } from './rules/holds.ts';
import { cancel } from './rules/life.ts';
import { genesis, ingestionKey, issuerKey, logClose, logKey, policy, rules } from './rules/log.ts';
import { decision, fork, freeze, unfreeze, voided } from './rules/oversight.ts';
import type { Effect, Moved, Place, Requirement, Rule } from './rules/rule.ts';
import { genesisOf, issuers } from './rules/rule.ts';
import { withdraw } from './rules/revoke.ts';
import { isNextState, state as stateRule } from './rules/state.ts';
import { accept, offer, refuse, settle } from './rules/trade.ts';
import type { LogState } from './state/state.ts';

/**
 * The fold over entries: the one place that says what an entry does and which entries are void. The
 * ledger, the verifier, the audit and every witness use this and nothing else (D3.3).
 */

type RuleTable = { readonly [K in Kind]: Rule<K> };
const ruleOf: RuleTable = {
  accept,
  account,
  'account-key': accountKey,
  cancel,
  decision,
  emission,
  'emission-correction': emissionCorrection,
  exchange,
  factors,
  fork,
  freeze,
  genesis,
  hour,
  'hour-correction': hourCorrection,
  'ingestion-key': ingestionKey,
  'issuer-key': issuerKey,
  key,
  'key-end': keyEnd,
  lock,
  'log-close': logClose,
  'log-key': logKey,
  meter,
  'meter-change': meterChange,
  offer,
  plant,
  'plant-change': plantChange,
  policy,
  refuse,
  rules,
  settle,
  state: stateRule,
  unfreeze,
  unlock,
  void: voided,
  withdraw,
};

/** A kind that the rules in force name but this program does not know: nothing can be said. */
export class UnknownKind extends Error {
  readonly code = 'unknown-kind';
}

export interface Judgement {
  readonly ref: EntryRef;
  /** Undefined when the bytes are not an entry at all. */
  readonly entry: Entry | undefined;
  /** What it broke; an entry that broke a rule is void and changes nothing (D3.3). */
  readonly violation: { readonly code: string; readonly message: string } | undefined;
  /** Units that it issued or changed, once it has been folded. */
  readonly moved?: readonly Moved[];
}

export interface AdvanceOptions {
  /** Index of the entry; by default the next one. A partial verifier skips forward. */
  readonly index?: number;
  /** `trust` where the same bytes were verified before they were stored. */
  readonly signatures?: 'verify' | 'trust';
  /**
   * What somebody who holds the evidence found wrong with this entry (a root, a signature, an
   * energy), or, for one who does not hold it, what a later `void` in the log says of it.
   */
  readonly evidence?: { readonly code: string; readonly message: string } | undefined;
  /** The entry itself, for whoever has just encoded it into these very bytes, or parsed it from them. */
  readonly entry?: Entry;
  /** As `readEntry` said of that entry. */
  readonly isWhole?: boolean;
}

/** A judgement whose effect has not been carried out. It holds for the state that it was made on. */
export interface PendingJudgement extends Judgement {
  readonly effect: Effect | undefined;
}

/**
 * Judges the next entry and folds it into `state`. Throws UnknownKind, or RangeError when indexes go
 * backwards or, in a whole log, leave one out; a broken rule is a result, not an error.
 */
export function advance(
  state: LogState,
  bytes: Uint8Array,
  options: AdvanceOptions = {},
): Judgement {
  return applyJudgement(state, judgeNext(state, bytes, options));
}

/** What `advance` would say, with nothing changed: whoever does not want a violation leaves it there. */
export function judgeNext(
  state: LogState,
  bytes: Uint8Array,
  options: AdvanceOptions = {},
): PendingJudgement {
  const index = options.index ?? state.size;
  if (index < state.size) throw new RangeError(`advance: entry ${index} is already folded`);
  if (index > state.size && !state.partial)
    throw new RangeError(`advance: ${state.size} is missing`);
  const ref: EntryRef = { index, leafHash: leafHashHex(bytes) };
  const { entry, effect, violation } = judge(state, { bytes, ref }, options);
  return { ref, entry, effect, violation };
}

/** Folds a judgement by `judgeNext` into the same state, which must not have changed since. */
export function applyJudgement(state: LogState, pending: PendingJudgement): Judgement {
  const { ref, entry, effect, violation } = pending;
  if (ref.index < state.size) throw new RangeError(`advance: ${ref.index} is already folded`);
  state.size = ref.index + 1;
  if (entry !== undefined) {
    chainHour(state, entry, ref);
    passState(state, entry, ref);
  }
  const moved: Moved[] = [];
  if (effect !== undefined) {
    effect((units) => moved.push(units));
    if (entry !== undefined) {
      state.time = entry.time;
      entriesConcerned(state, entry)?.push(ref.index);
    }
  }
  if (violation !== undefined) {
    state.violations.set(ref.index, { ...violation, leafHash: ref.leafHash, voided: false });
  }
  return { ref, entry, violation, ...(moved.length > 0 && { moved }) };
}

/** What every certificate's verification rests on: the rules, and who may sign for log and body. */
const logKinds: ReadonlySet<string> = new Set(['genesis', 'issuer-key', 'log-key', 'rules']);

/** Where a verifier will look for the entry (D3.5). */
function entriesConcerned(state: LogState, entry: Entry): number[] | undefined {
  if (logKinds.has(entry.kind)) return state.genesis?.entries;
  return concernedBy(state, entry)?.entries;
}

interface Judged {
  readonly entry: Entry | undefined;
  readonly effect?: Effect;
  readonly violation?: { readonly code: string; readonly message: string };
}

function judge(
  state: LogState,
  { bytes, ref }: { bytes: Uint8Array; ref: EntryRef },
  { signatures = 'verify', evidence, entry: known, isWhole = false }: AdvanceOptions,
): Judged {
  let entry: Entry | undefined;
  try {
    const read = known === undefined ? readEntry(bytes) : { entry: known, isWhole };
    ({ entry } = read);
    const { time } = entry;
    if (time < state.time) throw new Refused('time', 'time went backwards');
    const effect = planEntry(read, { state, ref, time, signatures });
    if (evidence !== undefined) return { entry, violation: evidence };
    return { entry, effect };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { entry, violation: { code: error.code, message: error.message } };
  }
}

/** Where an entry is judged, and whether its signatures are. */
interface JudgedPlace extends Place {
  readonly signatures: 'verify' | 'trust';
}

function planEntry(read: ReadEntry, place: JudgedPlace): Effect {
  const { kind } = read.entry;
  const inForce =
    place.ref.index === 0 ? kind === 'genesis' : genesisOf(place).rules.kinds.includes(kind);
  if (!inForce) throw new Refused('kind', `the kind ${kind} is not in force`);
  if (place.state.genesis?.closed !== undefined && kind !== 'void') {
    throw new Refused('closed', 'the log has been closed');
  }
  if (!isKnownKind(kind)) throw new UnknownKind(`the kind ${kind} is not known to this program`);
  return planKind(kind, read, place);
}

/** Any rule, once the parser of its own kind has seen the spec. */
interface AnyRule {
  readonly signers: (spec: unknown, place: Place) => readonly Requirement[];
  readonly plan: (spec: unknown, place: Place) => Effect;
}

function planKind(kind: Kind, { entry, isWhole }: ReadEntry, place: JudgedPlace): Effect {
  const rule = ruleOf[kind] as AnyRule;
  const spec = isWhole ? entry.spec : specOf[kind].parse(entry.spec, 'spec');
  if (unsignedKinds.has(kind)) {
    if (entry.auth.length > 0) throw new Refused('auth', `${kind} is signed by nobody`);
    return rule.plan(spec, place);
  }
  const useNonces = planAuth(entry, rule.signers(spec, place), place);
  const effect = rule.plan(spec, place);
  return (tell) => {
    useNonces();
    effect(tell);
  };
}

/** Stands for the issuing body among the thumbprints of the nonces; no thumbprint is as short. */
const issuingBodyNonce = 'issuers';

/** Verifies who signed (D3.3) and that none of the signatures was used before or comes too late. */
function planAuth(
  entry: Entry,
  required: readonly Requirement[],
  { state, ref, signatures, time }: JudgedPlace,
): () => void {
  const { nonce, notAfter } = entry.spec as { nonce: string; notAfter: number };
  if (time > notAfter) throw new Refused('expired', 'entered after its notAfter');
  const body = issuingBody(state, entry, ref.index);
  const given = new Map<string, Jws>();
  for (const jws of parseAuth(entry, body.origin)) {
    if (given.has(jws.header.kid)) throw new Refused('auth', 'the same signer twice');
    given.set(jws.header.kid, jws);
  }
  const kids = [...given.keys()];
  for (const requirement of required) takeSignatures(requirement, body, { given, signatures });
  if (given.size > 0) throw new Refused('auth', 'signed by somebody who has no say in it');
  const used = kids.map((kid) => `${kid} ${nonce}`);
  // The issuing body is one signer: an action that more of its keys signed than needed counts once.
  if (required.includes(issuers)) used.push(`${issuingBodyNonce} ${nonce}`);
  if (used.some((once) => state.tables.nonces.has(once))) {
    throw new Refused('nonce', 'a signature that was used before');
  }
  return () => {
    for (const once of used) state.tables.nonces.set(once, true);
  };
}

interface IssuingBody {
  readonly origin: string;
  readonly issuers: readonly PublicKey[];
  readonly threshold: number;
}

/** The keys that `genesis` names sign `genesis` itself; afterwards they are part of the state. */
function issuingBody(state: LogState, entry: Entry, index: number): IssuingBody {
  if (index > 0 && state.genesis !== undefined) return state.genesis;
  const spec = specOf.genesis.parse(entry.spec, 'spec');
  return {
    origin: spec.origin,
    issuers: spec.issuers.keys.map((jwk) => parsePublicJwk(jwk)),
    threshold: spec.issuers.threshold,
  };
}

/** Takes out of `given` what a requirement needs; Refused('auth' | 'signature') when it is not there. */
function takeSignatures(
  requirement: Requirement,
  body: IssuingBody,
  { given, signatures }: { given: Map<string, Jws>; signatures: 'verify' | 'trust' },
): void {
  const { candidates, needed, who } = signersFor(requirement, body);
  let found = 0;
  for (const candidate of candidates) {
    const jws = given.get(candidate.kid);
    if (jws === undefined) continue;
    if (signatures === 'verify') verifyJws(jws, candidate);
    given.delete(candidate.kid);
    found++;
  }
  if (found < needed) throw new Refused('auth', `not signed by ${who}`);
}

function signersFor(
  requirement: Requirement,
  body: IssuingBody,
): { candidates: readonly PublicKey[]; needed: number; who: string } {
  if ('issuers' in requirement) {
    return { candidates: body.issuers, needed: body.threshold, who: 'the issuing body' };
  }
  const candidates = 'key' in requirement ? [requirement.key] : requirement.anyOf;
  const who = candidates.map(({ kid }) => `key ${kid}`).join(' or ');
  return { candidates, needed: 1, who };
}

/** `prev` chains every hour entry that names the plant, also void ones, so that a void breaks no chain. */
function chainHour(state: LogState, entry: Entry, ref: EntryRef): void {
  if (entry.kind !== 'hour' && entry.kind !== 'hour-correction') return;
  const { plant: name } = entry.spec as { plant?: unknown };
  const found = typeof name === 'string' ? state.plants.get(name) : undefined;
  if (found !== undefined) found.latest = ref;
}

function passState(state: LogState, entry: Entry, { index }: EntryRef): void {
  if (entry.kind !== 'state') return;
  const { asOf } = entry.spec as { asOf?: unknown };
  if (typeof asOf !== 'number' || !Number.isSafeInteger(asOf)) return;
  if (isNextState(state, { asOf }, index)) state.stateAsOf = asOf;
}
