import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openLeavesLimit, openLeavesLimitBytes } from '#core/energy/open-leaves.ts';
import { planPage, type OpenPage } from '#ledger/open-leaves.ts';
import type { OpenMessage, Position } from '#ledger/open-store.ts';

const message = (keyId: number, seq: number, change: Partial<OpenMessage> = {}): OpenMessage => ({
  keyId,
  seq,
  receivedAt: seq,
  isAccepted: true,
  sizeBytes: 100,
  ...change,
});

/** As the database answers: the first `ofKey` after each position, by key and seq. */
function following(all: readonly OpenMessage[], from: readonly Position[], ofKey: number) {
  return from.flatMap(({ keyId, seq }) =>
    all
      .filter((one) => one.keyId === keyId && one.seq > seq)
      .sort((a, b) => a.seq - b.seq)
      .slice(0, ofKey),
  );
}

/** All pages of what is there, each from the positions of the one before. */
function pages(all: readonly OpenMessage[], ofKey: number): OpenPage[] {
  const found: OpenPage[] = [];
  let from: readonly Position[] = [1, 2, 3].map((keyId) => ({ keyId, seq: 0 }));
  for (let more = true; more;) {
    const page = planPage(from, following(all, from, ofKey), ofKey);
    found.push(page);
    ({ more } = page);
    from = page.positions;
  }
  return found;
}

const messages = fc.uniqueArray(
  fc.record({
    keyId: fc.integer({ min: 1, max: 3 }),
    seq: fc.integer({ min: 1, max: 60 }),
    receivedAt: fc.integer({ min: 0, max: 50 }),
    isAccepted: fc.boolean(),
    sizeBytes: fc.constantFrom(100, 65_000, 30_000),
  }),
  { selector: ({ keyId, seq }) => `${keyId} ${seq}`, maxLength: 120 },
);

describe('pages of the leaves of open hours', () => {
  it('tell of every accepted message once, by key in the order of seq', () => {
    fc.assert(
      fc.property(messages, fc.integer({ min: 1, max: 20 }), (all, ofKey) => {
        const told = pages(all, ofKey).flatMap(({ leaves }) => leaves);
        for (const keyId of [1, 2, 3]) {
          const own = (list: readonly OpenMessage[]): number[] =>
            list.filter((one) => one.keyId === keyId && one.isAccepted).map(({ seq }) => seq);
          expect(own(told)).toEqual(own(all).sort((a, b) => a - b));
        }
        expect(told.every(({ isAccepted }) => isAccepted)).toBe(true);
      }),
    );
  });

  it('hold no more than an answer may', () => {
    fc.assert(
      fc.property(messages, (all) => {
        for (const { leaves } of pages(all, 60)) {
          expect(leaves.length).toBeLessThanOrEqual(openLeavesLimit);
          const bytes = leaves.reduce((sum, { sizeBytes }) => sum + sizeBytes + 64, 0);
          expect(bytes).toBeLessThanOrEqual(openLeavesLimitBytes);
        }
      }),
    );
    const many = Array.from({ length: openLeavesLimit + 1 }, (_, i) => message(1, i + 1));
    const [first, second] = pages(many, 1_000);
    expect([first?.leaves.length, first?.more]).toEqual([openLeavesLimit, true]);
    expect([second?.leaves.length, second?.more]).toEqual([1, false]);
  });

  it('are in the order of arrival, but for what came after a higher seq', () => {
    const all = [
      message(1, 1, { receivedAt: 10 }),
      message(1, 2, { receivedAt: 30 }),
      message(1, 3, { receivedAt: 12 }),
      message(2, 1, { receivedAt: 11 }),
      message(2, 2, { receivedAt: 31 }),
    ];
    const [page] = pages(all, 10);
    expect(page?.leaves.map(({ keyId, seq }) => `${keyId} ${seq}`)).toEqual([
      '1 1',
      '2 1',
      '1 2',
      '1 3',
      '2 2',
    ]);
  });

  it('pass over what was not accepted, and say that more may follow it', () => {
    const all = Array.from({ length: 10 }, (_, i) => message(1, i + 1, { isAccepted: i === 9 }));
    const found = pages(all, 4);
    expect(found.map(({ leaves, more }) => [leaves.length, more])).toEqual([
      [0, true],
      [0, true],
      [1, false],
    ]);
  });
});
