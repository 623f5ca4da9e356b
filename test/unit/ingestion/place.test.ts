import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { utf8 } from '#core/bytes.ts';
import { extendChain } from '#core/energy/receipt.ts';
import { isUsable, type KeptCode } from '#ingestion/decide.ts';
import {
  needsLookup,
  placeMessages,
  type Candidate,
  type Head,
  type Placed,
  type Stored,
} from '#ingestion/place.ts';

const start: Head = {
  version: 0,
  throughSeq: 0,
  chain: new Uint8Array(32),
  maxSeq: 0,
  maxT: 0,
};
const nothing: Stored = {
  around: () => {
    throw new Error('the database was asked');
  },
  ahead: () => undefined,
};

function message(
  seq: number,
  t: number,
  options: { body?: string; code?: KeptCode } = {},
): Candidate {
  const hash = sha256(utf8(options.body ?? `message ${seq} at ${t}`));
  return { seq, hash, first: t, last: t, code: options.code };
}

function names(placed: readonly Placed[]): string[] {
  return placed.map((one) => (one.outcome === 'stored' ? (one.code ?? 'new') : one.outcome));
}

/** What a database would answer that holds these messages. */
function storedWith(rows: ReadonlyMap<number, Candidate>): Stored {
  return {
    ahead: (seq) => rows.get(seq)?.hash,
    around: (seq) => {
      const usable = [...rows.values()].filter(({ code }) => isUsable(code));
      const below = usable.filter((row) => row.seq < seq).sort((a, b) => b.seq - a.seq)[0];
      const above = usable.filter((row) => row.seq > seq).sort((a, b) => a.seq - b.seq)[0];
      return { hash: rows.get(seq)?.hash, beforeT: below?.last, afterT: above?.first };
    },
  };
}

/** Delivers batch after batch as the store does it: the head and the rows are all that stays. */
function deliver(batches: readonly (readonly Candidate[])[]): {
  head: Head;
  rows: Map<number, Candidate>;
  outcomes: string[];
} {
  let head = start;
  const rows = new Map<number, Candidate>();
  const outcomes: string[] = [];
  for (const batch of batches) {
    const result = placeMessages(head, batch, storedWith(rows));
    batch.forEach((candidate, i) => {
      const placed = result.placed[i];
      if (placed?.outcome === 'stored')
        rows.set(candidate.seq, { ...candidate, code: placed.code });
    });
    outcomes.push(...names(result.placed));
    head = result.head;
  }
  return { head, rows, outcomes };
}

function chainOver(candidates: readonly Candidate[]): Uint8Array {
  return candidates.reduce<Uint8Array>(
    (chain, { hash }) => extendChain(chain, hash),
    new Uint8Array(32),
  );
}

describe('messages of one key', () => {
  it('in order need nothing but the head, and the chain runs over all of them', () => {
    const sent = [message(1, 10), message(2, 20), message(3, 30)];
    const { head, placed } = placeMessages(start, sent, nothing);
    expect(names(placed)).toEqual(['new', 'new', 'new']);
    expect(head).toMatchObject({ throughSeq: 3, maxSeq: 3, maxT: 30 });
    expect(head.chain).toEqual(chainOver(sent));
    expect(needsLookup(head, { seq: 4 })).toBe(false);
    expect(needsLookup(head, { seq: 3 })).toBe(true);
  });

  it('are duplicates with the same signing input and forks with another, in one batch or two', () => {
    const first = message(1, 10);
    const again = message(1, 10);
    const other = message(1, 10, { body: 'something else' });
    expect(deliver([[first, again, other]]).outcomes).toEqual(['new', 'duplicate', 'fork']);
    const later = deliver([[first], [again, other, other]]);
    expect(later.outcomes).toEqual(['new', 'duplicate', 'fork', 'fork']);
    expect(later.head.chain).toEqual(chainOver([first]));
  });

  it('stop the chain at a gap, and let it go on through what is stored when the gap is filled', () => {
    const sent = [1, 2, 3, 4, 5].map((seq) => message(seq, seq * 10));
    const [one, two, three, four, five] = sent as [
      Candidate,
      Candidate,
      Candidate,
      Candidate,
      Candidate,
    ];
    const gap = deliver([[one], [five, three]]);
    expect(gap.head).toMatchObject({ throughSeq: 1, maxSeq: 5 });
    const filled = deliver([[one], [five, three], [two], [four]]);
    expect(filled.head).toMatchObject({ throughSeq: 5, maxSeq: 5, maxT: 50 });
    expect(filled.head.chain).toEqual(chainOver(sent));
  });

  it('are out of order when t falls as seq grows, from below and from above', () => {
    const outcomes = deliver([
      [message(1, 100)],
      [message(2, 99)],
      [message(5, 200)],
      [message(3, 201)],
      [message(4, 200)],
    ]).outcomes;
    expect(outcomes).toEqual(['new', 'order', 'new', 'order', 'new']);
  });

  it('are out of order in one batch as in several', () => {
    const sent = [
      message(1, 100),
      message(4, 200),
      message(2, 201),
      message(3, 99),
      message(3, 150),
    ];
    expect(deliver([sent]).outcomes).toEqual(['new', 'new', 'order', 'order', 'fork']);
    expect(deliver(sent.map((one) => [one])).outcomes).toEqual([
      'new',
      'new',
      'order',
      'order',
      'fork',
    ]);
  });

  it('may begin at the very instant at which the last one ended', () => {
    expect(deliver([[message(1, 100), message(2, 100)]]).outcomes).toEqual(['new', 'new']);
  });

  it('that are kept but not used take their seq, are in the chain, and bind no time', () => {
    const future = message(1, 9_999, { code: 'future' });
    const next = message(2, 10);
    const { head, outcomes } = deliver([[future], [next]]);
    expect(outcomes).toEqual(['future', 'new']);
    expect(head).toMatchObject({ throughSeq: 2, maxT: 10 });
    expect(head.chain).toEqual(chainOver([future, next]));
  });

  it('that are late still must not fall behind their neighbours', () => {
    const outcomes = deliver([[message(1, 100)], [message(2, 90, { code: 'late' })]]).outcomes;
    expect(outcomes).toEqual(['new', 'order']);
    expect(deliver([[message(1, 90, { code: 'late' })], [message(2, 80)]]).outcomes).toEqual([
      'late',
      'order',
    ]);
  });

  it('give one chain and no order at all, however a well-behaved device is delivered', () => {
    const deliveries = fc.integer({ min: 1, max: 30 }).chain((count) =>
      fc.record({
        order: fc.shuffledSubarray(
          Array.from({ length: count }, (_, i) => i + 1),
          { minLength: count },
        ),
        again: fc.array(fc.integer({ min: 1, max: count }), { maxLength: 20 }),
        size: fc.integer({ min: 1, max: 8 }),
      }),
    );
    fc.assert(
      fc.property(deliveries, ({ order, again, size }) => {
        const all = [...order, ...again].map((seq) => message(seq, Math.floor(seq / 2) * 60));
        const batches = [];
        for (let at = 0; at < all.length; at += size) batches.push(all.slice(at, at + size));
        const { head, outcomes } = deliver(batches);
        const inOrder = [...order].sort((a, b) => a - b);
        expect(head.throughSeq).toBe(order.length);
        expect(head.chain).toEqual(
          chainOver(inOrder.map((seq) => message(seq, Math.floor(seq / 2) * 60))),
        );
        expect(outcomes.filter((outcome) => outcome === 'new')).toHaveLength(order.length);
        expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(again.length);
      }),
    );
  });

  it('never leave accepted ones whose t falls, whatever a device sends', () => {
    const sent = fc.array(
      fc.record({ seq: fc.integer({ min: 1, max: 12 }), t: fc.integer({ min: 1, max: 6 }) }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(sent, fc.integer({ min: 1, max: 6 }), (all, size) => {
        const batches = [];
        for (let at = 0; at < all.length; at += size) {
          batches.push(all.slice(at, at + size).map(({ seq, t }) => message(seq, t)));
        }
        const { rows, head } = deliver(batches);
        const used = [...rows.values()]
          .filter(({ code }) => isUsable(code))
          .sort((a, b) => a.seq - b.seq);
        for (const [i, row] of used.entries()) {
          expect(row.first).toBeGreaterThanOrEqual(used[i - 1]?.last ?? 0);
        }
        expect(head.maxT).toBe(used[used.length - 1]?.last ?? 0);
        expect(head.maxSeq).toBe(Math.max(0, ...rows.keys()));
      }),
    );
  });
});
