import { describe, expect, it } from 'vitest';
import { createPublishWindow, lastPublishId } from '#ingestion/publish-window.ts';

describe('the window of what we publish', () => {
  it('never has more under way than the broker allows, and refuses what finds no room', async () => {
    const sent: number[] = [];
    const window = createPublishWindow({ inFlight: 2, waiting: 1 });
    const submit = (): Promise<void> => window.submit((id) => sent.push(id));
    const first = submit();
    const second = submit();
    const third = submit();
    await expect(submit()).rejects.toMatchObject({ code: 'busy' });
    expect(sent).toEqual([1, 2]);
    window.answered(2, 0x10);
    await second;
    expect(sent).toEqual([1, 2, 3]);
    window.answered(9, 0);
    window.answered(1, 0x97);
    await expect(first).rejects.toMatchObject({ code: 'mqtt-refused' });
    window.answered(3, 0);
    await third;
  });

  it('goes round with its ids, past those that are taken', async () => {
    const window = createPublishWindow({ inFlight: 2, waiting: 0 });
    const stuck = window.submit(() => undefined);
    const ids = new Set<number>();
    for (let i = 0; i < lastPublishId + 5; i++) {
      let id = 0;
      const done = window.submit((given) => (id = given));
      ids.add(id);
      window.answered(id, 0);
      await done;
    }
    expect(ids.size).toBe(lastPublishId - 1);
    expect(ids.has(1) || ids.has(0)).toBe(false);
    window.answered(1, 0);
    await stuck;
  });

  it('tells everybody when the connection is over', async () => {
    const window = createPublishWindow({ inFlight: 1, waiting: 5 });
    const both = Promise.allSettled([
      window.submit(() => undefined),
      window.submit(() => undefined),
    ]);
    window.close('gone');
    for (const outcome of await both) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'offline' } });
    }
    await expect(window.submit(() => undefined)).rejects.toMatchObject({ code: 'offline' });
  });
});
