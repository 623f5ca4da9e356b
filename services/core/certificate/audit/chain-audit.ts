import { fromHex, toHex } from '../../bytes.ts';
import { emptyChain, extendChain } from '../../energy/receipt.ts';

/**
 * Follows the receipt chains (D3.1) through the batch files of a whole log. A record states a chain
 * over messages that other batches may bring only later, when hours are sealed out of order, so a
 * statement waits until all messages up to it are known.
 *
 * Everything that waits is bounded. What falls out is counted as open, never as refuted.
 */
export interface ChainAudit {
  /** A message of a batch file or of a list of quarantined ones; `hash` in lowercase hex. */
  readonly see: (kid: string, seq: number, hash: string) => void;
  /** What a meter record of a sealed hour states. */
  readonly state: (statement: ChainStatement) => void;
  /** Statements that the messages known so far refute. Each is returned once. */
  readonly refuted: () => ChainStatement[];
  /** How many rest on messages that no file has shown, or lie too far back to be judged. */
  readonly open: () => number;
  /** Everything it knows, as plain data, to go on from; it changes with what follows. */
  readonly known: () => KnownChains;
}

export interface ChainStatement {
  /** The entry whose record states it, and the hour that this entry seals or corrects. */
  readonly index: number;
  readonly plant: string;
  readonly start: number;
  readonly kid: string;
  readonly throughSeq: number;
  /** Lowercase hex. */
  readonly chain: string;
}

export interface ChainLimits {
  /** Messages beyond a gap of one key, and of all keys together. A key that has more is given up. */
  readonly waitingOfKey: number;
  readonly waiting: number;
  /** Statements that wait for messages, of all keys together. */
  readonly statements: number;
  /** Newest chains of all keys together, so that a correction may state one that was passed already. */
  readonly passed: number;
}

export const chainLimits: ChainLimits = {
  waitingOfKey: 4_096,
  waiting: 262_144,
  statements: 65_536,
  passed: 65_536,
};

interface KeyChain {
  readonly kid: string;
  through: number;
  chain: Uint8Array;
  /** By seq, beyond `through`. */
  readonly waiting: Map<number, string>;
  statements: ChainStatement[];
  /** Too much waited behind a gap: nothing more is said of this key. */
  lost: boolean;
}

export interface KnownChains {
  readonly keys: Map<string, KeyChain>;
  /** By key and seq, oldest first. */
  readonly passed: Map<string, string>;
  readonly refuted: ChainStatement[];
  waiting: number;
  pending: number;
  unjudged: number;
}

interface Chains extends KnownChains {
  readonly limits: ChainLimits;
}

export function noChains(): KnownChains {
  return { keys: new Map(), passed: new Map(), refuted: [], waiting: 0, pending: 0, unjudged: 0 };
}

/** Goes on from `known`, which is its own from then on. */
export function createChainAudit(
  limits: ChainLimits = chainLimits,
  known: KnownChains = noChains(),
): ChainAudit {
  const chains: Chains = { ...known, limits };
  return {
    see: (kid, seq, hash) => see(chains, keyOf(chains, kid), { seq, hash }),
    state: (statement) => state(chains, keyOf(chains, statement.kid), statement),
    refuted: () => chains.refuted.splice(0),
    open: () => chains.unjudged + chains.pending,
    known: () => {
      const { limits: _limits, ...rest } = chains;
      return rest;
    },
  };
}

function keyOf({ keys }: Chains, kid: string): KeyChain {
  const found = keys.get(kid);
  if (found !== undefined) return found;
  const made: KeyChain = {
    kid,
    through: 0,
    chain: emptyChain,
    waiting: new Map(),
    statements: [],
    lost: false,
  };
  keys.set(kid, made);
  return made;
}

function see(
  chains: Chains,
  key: KeyChain,
  { seq, hash }: { readonly seq: number; readonly hash: string },
): void {
  // Under a fork two messages have one seq; the chain runs over the first, which came in first.
  if (key.lost || seq <= key.through || key.waiting.has(seq)) return;
  if (seq > key.through + 1) {
    key.waiting.set(seq, hash);
    chains.waiting += 1;
    const { waiting, waitingOfKey } = chains.limits;
    if (key.waiting.size > waitingOfKey || chains.waiting > waiting) lose(chains, key);
    return;
  }
  step(chains, key, hash);
  for (;;) {
    const next = key.waiting.get(key.through + 1);
    if (next === undefined) return;
    key.waiting.delete(key.through + 1);
    chains.waiting -= 1;
    step(chains, key, next);
  }
}

function lose(chains: Chains, key: KeyChain): void {
  key.lost = true;
  chains.waiting -= key.waiting.size;
  chains.pending -= key.statements.length;
  chains.unjudged += key.statements.length;
  key.waiting.clear();
  key.statements = [];
}

function step(chains: Chains, key: KeyChain, hash: string): void {
  const { passed, limits } = chains;
  key.chain = extendChain(key.chain, fromHex(hash));
  key.through += 1;
  passed.set(placeOf(key, key.through), toHex(key.chain));
  if (passed.size > limits.passed) {
    for (const oldest of passed.keys()) {
      passed.delete(oldest);
      if (passed.size <= limits.passed) break;
    }
  }
  if (key.statements.length === 0) return;
  const due = key.statements.filter(({ throughSeq }) => throughSeq <= key.through);
  if (due.length === 0) return;
  key.statements = key.statements.filter(({ throughSeq }) => throughSeq > key.through);
  chains.pending -= due.length;
  for (const statement of due) judge(chains, key, statement);
}

function state(chains: Chains, key: KeyChain, statement: ChainStatement): void {
  if (statement.throughSeq <= key.through) judge(chains, key, statement);
  else if (key.lost || chains.pending >= chains.limits.statements) chains.unjudged += 1;
  else {
    key.statements.push(statement);
    chains.pending += 1;
  }
}

function judge(chains: Chains, key: KeyChain, statement: ChainStatement): void {
  const chain = chainAt(chains, key, statement.throughSeq);
  if (chain === undefined) chains.unjudged += 1;
  else if (chain !== statement.chain) chains.refuted.push(statement);
}

/** Undefined where it was passed too long ago. */
function chainAt({ passed }: Chains, key: KeyChain, seq: number): string | undefined {
  if (seq === 0) return toHex(emptyChain);
  return seq === key.through ? toHex(key.chain) : passed.get(placeOf(key, seq));
}

function placeOf({ kid }: KeyChain, seq: number): string {
  return `${kid} ${seq}`;
}
