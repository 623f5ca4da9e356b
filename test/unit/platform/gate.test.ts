import { describe, expect, it } from 'vitest';
import { createGate, type Entered } from '#platform/gate.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets somebody come; says who got in. */
function visitors(limits: { limit: number; limitWeight: number }) {
  const gate = createGate(limits);
  const inside = new Map<number, Entered>();
  let coming = 0;
  const come = async (): Promise<void> => {
    const name = coming++;
    void gate.enter().then((entered) => inside.set(name, entered));
    await settle();
  };
  return { inside, come };
}

describe('a gate', () => {
  it('lets in as many as may be unweighed, the others in the order of their coming', async () => {
    const { inside, come } = visitors({ limit: 2, limitWeight: 100 });
    for (let i = 0; i < 5; i++) await come();
    expect([...inside.keys()]).toEqual([0, 1]);
    inside.get(1)?.weigh(10);
    await settle();
    expect([...inside.keys()]).toEqual([0, 1, 2]);
    inside.get(0)?.weigh(10);
    inside.get(2)?.weigh(10);
    await settle();
    expect([...inside.keys()]).toEqual([0, 1, 2, 3, 4]);
  });

  it('lets nobody in while those inside are too heavy together', async () => {
    const { inside, come } = visitors({ limit: 2, limitWeight: 100 });
    for (let i = 0; i < 4; i++) await come();
    inside.get(0)?.weigh(60);
    await settle();
    expect([...inside.keys()]).toEqual([0, 1, 2]);
    inside.get(1)?.weigh(60);
    await settle();
    expect([...inside.keys()]).toEqual([0, 1, 2]);
    inside.get(0)?.leave();
    await settle();
    expect([...inside.keys()]).toEqual([0, 1, 2, 3]);
  });

  it('lets one in however heavy it turns out to be, and goes on when it has left', async () => {
    const { inside, come } = visitors({ limit: 1, limitWeight: 100 });
    await come();
    await come();
    inside.get(0)?.weigh(1_000_000);
    await settle();
    expect([...inside.keys()]).toEqual([0]);
    inside.get(0)?.leave();
    await settle();
    expect([...inside.keys()]).toEqual([0, 1]);
  });

  it('gives a place back to those who leave without having been weighed', async () => {
    const { inside, come } = visitors({ limit: 1, limitWeight: 100 });
    for (let i = 0; i < 3; i++) await come();
    expect([...inside.keys()]).toEqual([0]);
    inside.get(0)?.leave();
    await settle();
    inside.get(1)?.leave();
    await settle();
    expect([...inside.keys()]).toEqual([0, 1, 2]);
  });

  it('weighs nobody twice', async () => {
    const { inside, come } = visitors({ limit: 1, limitWeight: 100 });
    await come();
    inside.get(0)?.weigh(1);
    expect(() => inside.get(0)?.weigh(1)).toThrow(RangeError);
  });
});
