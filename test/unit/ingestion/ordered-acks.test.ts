import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createOrderedAcks, type Ack } from '#ingestion/ordered-acks.ts';

describe('acknowledgements', () => {
  it('leave in the order of arrival, each as soon as all before it are known', async () => {
    const orders = fc.integer({ min: 1, max: 40 }).chain((count) =>
      fc.shuffledSubarray(
        Array.from({ length: count }, (_, i) => i),
        { minLength: count },
      ),
    );
    await fc.assert(
      fc.asyncProperty(orders, async (order) => {
        const sent: Ack[] = [];
        const acks = createOrderedAcks((ready) => sent.push(...ready));
        const settle = order.map((_, i) => acks.enter(100 + i));
        const known = new Set<number>();
        for (const i of order) {
          settle[i]?.(i % 3);
          known.add(i);
          await setImmediate();
          let through = 0;
          while (known.has(through)) through++;
          expect(sent).toEqual(
            Array.from({ length: through }, (_, k) => ({ packetId: 100 + k, reasonCode: k % 3 })),
          );
          expect(acks.waiting()).toBe(order.length - through);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('leave together when they are known together, and only once', async () => {
    const writes: (readonly Ack[])[] = [];
    const acks = createOrderedAcks((ready) => writes.push(ready));
    const settle = [acks.enter(1), acks.enter(2), acks.enter(3)];
    for (const one of settle) one(0);
    settle[0]?.(0x97);
    await acks.none();
    expect(writes.map((ready) => ready.map(({ packetId }) => packetId))).toEqual([[1, 2, 3]]);
    expect(writes[0]?.[0]?.reasonCode).toBe(0);
  });

  it('are waited for until the last has left', async () => {
    const acks = createOrderedAcks(() => undefined);
    const [first, second] = [acks.enter(1), acks.enter(2)];
    let none = false;
    void acks.none().then(() => (none = true));
    second(0);
    await setImmediate();
    await setImmediate();
    expect(none).toBe(false);
    first(0);
    await acks.none();
    expect(acks.waiting()).toBe(0);
  });
});
