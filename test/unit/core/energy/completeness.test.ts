import { describe, expect, it } from 'vitest';
import { isMeterComplete, type SeenMessage } from '#core/energy/completeness.ts';
import { end, start } from './evidence.ts';

function seen(seq: number, ts: readonly number[], more: Partial<SeenMessage> = {}): SeenMessage {
  const at = ts.map((t) => start + t);
  return {
    kid: 'a',
    seq,
    tFirst: Math.min(...at),
    tLast: Math.max(...at),
    counts: true,
    validAt: at,
    ...more,
  };
}
const one = [{ kid: 'a' }];
const complete = (messages: readonly SeenMessage[], more = {}) =>
  isMeterComplete({ start, keys: one, seen: messages, ...more });

describe('a meter is complete for an hour', () => {
  it('when one message covers it', () => {
    expect(complete([seen(5, [0, 3600])])).toBe(true);
    expect(complete([seen(5, [1, 3600])])).toBe(false);
    expect(complete([seen(5, [0, 3599])])).toBe(false);
  });

  it('when no seq from A to B is missing, in whatever order they came', () => {
    const all = [seen(5, [-60]), seen(6, [60]), seen(7, [120]), seen(8, [3700])];
    expect(complete(all)).toBe(true);
    expect(complete(all.toReversed())).toBe(true);
    for (const missing of [5, 6, 7, 8]) {
      expect(complete(all.filter(({ seq }) => seq !== missing))).toBe(false);
    }
  });

  it('though a seq is lost elsewhere', () => {
    const all = [seen(2, [-9000]), seen(5, [-60]), seen(6, [3700]), seen(9, [9000])];
    expect(complete(all)).toBe(true);
    // A later A begins anew after the gap.
    expect(complete([seen(2, [-60]), seen(4, [-30]), seen(5, [3600])])).toBe(true);
  });

  it('when A is the first message of the meter', () => {
    const messages = [seen(1, [600]), seen(2, [3600])];
    expect(complete(messages)).toBe(false);
    expect(complete(messages, { firstMessage: { kid: 'a', seq: 1 } })).toBe(true);
    expect(complete(messages, { firstMessage: { kid: 'b', seq: 1 } })).toBe(false);
    // Hours before it are complete as well: nothing will be said of them.
    const before = { start: start - 7200, keys: one, seen: messages };
    expect(isMeterComplete({ ...before, firstMessage: { kid: 'a', seq: 1 } })).toBe(true);
  });

  it('counts a quarantined message as seen, but neither as A nor as B', () => {
    const refused = { counts: false };
    const all = [seen(5, [0]), seen(6, [99_999], refused), seen(7, [3600])];
    expect(complete(all)).toBe(true);
    expect(complete([seen(5, [0], refused), seen(6, [60]), seen(7, [3600])])).toBe(false);
    expect(complete([seen(5, [0]), seen(6, [3600], refused)])).toBe(false);
  });

  it('asks of B a valid reading, not of A', () => {
    expect(complete([seen(5, [0], { validAt: [] }), seen(6, [3600])])).toBe(true);
    expect(complete([seen(5, [0]), seen(6, [3600], { validAt: [end - 1] })])).toBe(false);
  });
});

describe('across a change of keys', () => {
  const b = { kid: 'b' };
  const messages = [seen(5, [-60]), seen(6, [60]), seen(1, [120], b), seen(2, [3600], b)];

  it('needs all up to the end of one key and from the first of the next', () => {
    const keys = [{ kid: 'a', lastSeq: 6 }, b];
    expect(complete(messages, { keys })).toBe(true);
    for (const missing of messages) {
      expect(
        complete(
          messages.filter((m) => m !== missing),
          { keys },
        ),
      ).toBe(false);
    }
    expect(complete(messages, { keys: [{ kid: 'a', lastSeq: 7 }, b] })).toBe(false);
  });

  it('does not pass over a key that is still in use', () => {
    expect(complete(messages, { keys: [...one, b] })).toBe(false);
  });

  it('passes over a key that was never used, and over nothing else', () => {
    const through = (lastSeq: number) => [{ kid: 'a', lastSeq: 6 }, { kid: 'c', lastSeq }, b];
    expect(complete(messages, { keys: through(0) })).toBe(true);
    expect(complete(messages, { keys: through(1) })).toBe(false);
  });

  it('does not count what a key says after its end', () => {
    const keys = [{ kid: 'a', lastSeq: 6 }];
    expect(complete([...messages, seen(7, [3600])], { keys })).toBe(false);
  });
});
