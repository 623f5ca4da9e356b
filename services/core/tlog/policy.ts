import { Refused } from '../errors.ts';
import { toHex, utf8 } from '../bytes.ts';
import { cosignatureType, ed25519Type, parseVkey, type VerifierKey } from './note.ts';

/** A policy file is for people to read; more than this is refused before it is parsed. */
export const policyLimitBytes = 64 * 1024;

/** A rule over witnesses: at least `needed` of `members` (c2sp.org/tlog-policy). */
export interface Group {
  readonly name: string;
  readonly needed: number;
  readonly members: readonly (Group | Witness)[];
}

export interface Witness {
  readonly name: string;
  readonly key: VerifierKey;
  readonly url: string | undefined;
}

/** Whom a verifier trusts: logs, witnesses, and how many of them must have cosigned. */
export interface Policy {
  readonly logs: readonly { readonly key: VerifierKey; readonly url: string | undefined }[];
  readonly witnesses: readonly Witness[];
  /** Undefined for `quorum none`. */
  readonly quorum: Group | Witness | undefined;
}

interface Draft {
  readonly logs: { readonly key: VerifierKey; readonly url: string | undefined }[];
  readonly witnesses: Witness[];
  readonly named: Map<string, Group | Witness>;
  readonly keys: Set<string>;
  /** Names that are a member of some group. */
  readonly members: Set<string>;
  quorum: { readonly is: Group | Witness | undefined } | undefined;
}

/**
 * Parses a policy (c2sp.org/tlog-policy), strictly. Throws Refused('policy') with the line's number.
 */
export function parsePolicy(text: string): Policy {
  if (text.length > policyLimitBytes) throw new Refused('policy', 'a policy above 64 KiB');
  const draft: Draft = {
    logs: [],
    witnesses: [],
    named: new Map(),
    keys: new Set(),
    members: new Set(),
    quorum: undefined,
  };
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new Refused('policy', 'the last line does not end');
  lines.forEach((line, i) => {
    try {
      addLine(draft, line);
    } catch (cause) {
      if (!(cause instanceof Refused)) throw cause;
      throw new Refused('policy', `line ${i + 1}: ${cause.message}`, { cause });
    }
  });
  if (draft.quorum === undefined) throw new Refused('policy', 'there is no quorum line');
  return { logs: draft.logs, witnesses: draft.witnesses, quorum: draft.quorum.is };
}

function addLine(draft: Draft, line: string): void {
  if (isControlled(line)) throw new Refused('policy', 'a control character');
  const words = line.split(/[ \t]+/).filter((word) => word !== '');
  const [keyword, first, ...rest] = words;
  if (keyword === undefined || keyword.startsWith('#')) return;
  if (first === undefined) throw new Refused('policy', `${keyword} says nothing`);
  if (keyword === 'log') addLog(draft, first, rest);
  else if (keyword === 'witness') addWitness(draft, first, rest);
  else if (keyword === 'group') addGroup(draft, first, rest);
  else if (keyword === 'quorum') setQuorum(draft, first, rest);
  else throw new Refused('policy', `unknown keyword ${keyword}`);
}

/** "The only allowed control characters are tab and newline": no carriage return either. */
function isControlled(line: string): boolean {
  return utf8(line).some((byte) => (byte < 0x20 && byte !== 0x09) || byte === 0x7f);
}

/** The same public key twice would let one party count as two, whatever its names are. */
function requireNewKey({ keys }: Draft, key: VerifierKey, kind: 'log' | 'witness'): void {
  const once = `${kind} ${toHex(key.publicKey)}`;
  if (keys.has(once)) throw new Refused('policy', `the key of ${key.name} stands twice`);
  keys.add(once);
}

function addLog(draft: Draft, vkey: string, [url, ...more]: readonly string[]): void {
  const key = parseVkey(vkey);
  if (key.type !== ed25519Type || more.length > 0) throw new Refused('policy', 'not a log line');
  requireNewKey(draft, key, 'log');
  draft.logs.push({ key, url });
}

function addWitness(draft: Draft, name: string, rest: readonly string[]): void {
  const [vkey, url, ...more] = rest;
  if (vkey === undefined || more.length > 0) throw new Refused('policy', 'not a witness line');
  const key = parseVkey(vkey);
  if (key.type !== cosignatureType) throw new Refused('policy', `${name}: not a witness key`);
  requireNewKey(draft, key, 'witness');
  const witness: Witness = { name, key, url };
  define(draft, witness);
  draft.witnesses.push(witness);
}

function define({ named }: Draft, thing: Group | Witness): void {
  if (thing.name === 'none' || named.has(thing.name)) {
    throw new Refused('policy', `the name ${thing.name} is taken`);
  }
  named.set(thing.name, thing);
}

function lookUp({ named }: Draft, name: string): Group | Witness {
  const found = named.get(name);
  if (found === undefined) throw new Refused('policy', `${name} is not defined above`);
  return found;
}

function addGroup(draft: Draft, name: string, [threshold, ...names]: readonly string[]): void {
  if (threshold === undefined || names.length === 0) throw new Refused('policy', 'an empty group');
  const members = names.map((member) => takeMember(draft, member));
  const needed = parseThreshold(threshold, members.length);
  define(draft, { name, needed, members });
}

/** Once in the whole file: else one witness could count for a quorum in two ways. */
function takeMember(draft: Draft, name: string): Group | Witness {
  const member = lookUp(draft, name);
  if (draft.members.has(name))
    throw new Refused('policy', `${name} is a member of a group already`);
  draft.members.add(name);
  return member;
}

function parseThreshold(word: string, count: number): number {
  if (word === 'any') return 1;
  if (word === 'all') return count;
  const needed = Number(word);
  if (String(needed) !== word || !Number.isInteger(needed) || needed < 1 || needed > count) {
    throw new Refused('policy', `a threshold of ${word} of ${count}`);
  }
  return needed;
}

function setQuorum(draft: Draft, name: string, more: readonly string[]): void {
  if (draft.quorum !== undefined || more.length > 0) {
    throw new Refused('policy', 'exactly one quorum with one name');
  }
  draft.quorum = { is: name === 'none' ? undefined : lookUp(draft, name) };
}

/** True when the witnesses for whom `cosigned` holds satisfy the policy's quorum. */
export function quorumMet(policy: Policy, cosigned: (witness: Witness) => boolean): boolean {
  const met = (rule: Group | Witness): boolean =>
    'key' in rule ? cosigned(rule) : rule.members.filter(met).length >= rule.needed;
  return policy.quorum === undefined || met(policy.quorum);
}

/** An auditing witness's key has a name that ends in `/audit` (D3.4). */
export function isAuditing({ key }: Witness): boolean {
  return key.name.endsWith('/audit');
}

/** True when no quorum can be reached without at least one auditing witness (D3.4). */
export function needsAuditor(policy: Policy): boolean {
  return !quorumMet(policy, (witness) => !isAuditing(witness));
}

/** Refused('policy') unless every quorum has at least one auditing witness (D3.4). */
export function requireAuditor(policy: Policy): void {
  if (needsAuditor(policy)) return;
  throw new Refused('policy', 'its quorum can be met without an auditing witness (…/audit)');
}

/**
 * How many witnesses any two quorums have in common at least: so many would have to lie for two
 * histories of one log to be cosigned. For `k` of `n` witnesses that is 2k - n; 0 for no quorum.
 */
export function quorumOverlap({ quorum }: Policy): number {
  // A name is a member once in the whole file, so members share no witness and their overlaps add up.
  const overlap = (rule: Group | Witness): number => {
    if ('key' in rule) return 1;
    const shared = Math.max(0, 2 * rule.needed - rule.members.length);
    const overlaps = rule.members.map(overlap).sort((a, b) => a - b);
    return overlaps.slice(0, shared).reduce((sum, one) => sum + one, 0);
  };
  return quorum === undefined ? 0 : overlap(quorum);
}
