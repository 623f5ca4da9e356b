import { toHex } from '#core/bytes.ts';
import { emptyChain, extendChain } from '#core/energy/receipt.ts';

/**
 * Follows the receipt chains (D3.1) through the batch files of a whole log. A record states a chain
 * over messages that other batches may bring only later, when hours are sealed out of order, so a
 * statement waits until all messages up to it are known.
 */
export interface ChainAudit {
  /** A message of a batch file or of a list of quarantined ones; `hash` in lowercase hex. */
  readonly see: (kid: string, seq: number, hash: string) => void;
  /** What the record of entry `index` states. */
  readonly state: (statement: ChainStatement) => void;
  /** Statements that the messages known so far refute. Each is returned once. */
  readonly refuted: () => ChainStatement[];
  /** Statements that rest on messages which no file holds. */
  readonly open: () => number;
}

export interface ChainStatement {
  readonly index: number;
  readonly kid: string;
  readonly throughSeq: number;
  readonly chain: string;
}

interface KeyChain {
  through: number;
  chain: Uint8Array;
  /** By seq, beyond `through`. */
  readonly waiting: Map<number, Uint8Array>;
  /** Newest chains, so that a correction may state one that was passed already. */
  readonly passed: Map<number, string>;
  readonly statements: ChainStatement[];
}

/** How far back a statement may lie and still be judged; older ones stay open. */
const passedLimit = 8_192;

export function createChainAudit(): ChainAudit {
  const keys = new Map<string, KeyChain>();
  const refuted: ChainStatement[] = [];
  let unjudged = 0;

  const keyOf = (kid: string): KeyChain => {
    const found = keys.get(kid) ?? {
      through: 0,
      chain: emptyChain,
      waiting: new Map(),
      passed: new Map([[0, toHex(emptyChain)]]),
      statements: [],
    };
    keys.set(kid, found);
    return found;
  };

  const judge = (key: KeyChain): void => {
    const later = key.statements.filter((statement) => {
      if (statement.throughSeq > key.through) return true;
      const chain = key.passed.get(statement.throughSeq);
      if (chain === undefined) unjudged++;
      else if (chain !== statement.chain) refuted.push(statement);
      return false;
    });
    key.statements.splice(0, key.statements.length, ...later);
  };

  return {
    see(kid, seq, hash) {
      const key = keyOf(kid);
      // Under a fork two messages have one seq; the chain runs over the first, which came in first.
      if (seq <= key.through || key.waiting.has(seq)) return;
      key.waiting.set(seq, Buffer.from(hash, 'hex'));
      for (;;) {
        const next = key.waiting.get(key.through + 1);
        if (next === undefined) break;
        key.waiting.delete(key.through + 1);
        key.chain = extendChain(key.chain, next);
        key.through += 1;
        key.passed.set(key.through, toHex(key.chain));
        if (key.passed.size > passedLimit) {
          for (const oldest of key.passed.keys()) {
            key.passed.delete(oldest);
            break;
          }
        }
      }
      if (key.statements.length > 0) judge(key);
    },
    state(statement) {
      const key = keyOf(statement.kid);
      key.statements.push(statement);
      judge(key);
    },
    refuted: () => refuted.splice(0),
    open: () =>
      unjudged + [...keys.values()].reduce((sum, { statements }) => sum + statements.length, 0),
  };
}
