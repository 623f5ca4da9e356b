import { expect, it } from 'vitest';
import { Failed } from '#core/errors.ts';
import { inProcessBus } from '#platform/bus.ts';
import { systemClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import { announce, newsShapes, type BareNews } from '#platform/news.ts';
import { createRelay, type Relay } from '#platform/outbox-relay.ts';
import type { Pool } from '#platform/postgres.ts';
import { onEachEngine } from '#support/postgres.ts';

const logger = createLogger({ name: 'test', level: 'silent' });
const limits = { pollMs: 5, retryMs: 5, longestRetryMs: 20, leaseMs: 2_000 };

function hours(from: number, to: number, plant = 'P'): BareNews<'hours.sealed'>[] {
  return Array.from({ length: to - from }, (_, i) => ({
    ...{ index: from + i, leafHash: '00'.repeat(32), plant, start: (from + i) * 3600 },
  }));
}

async function emptied(pool: Pool): Promise<void> {
  const limitMs = performance.now() + 30_000;
  while ((await pool.row<{ n: number }>('select count(*) as n from outbox')).n > 0) {
    if (performance.now() > limitMs) throw new Error('the outbox is never empty');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

onEachEngine('the relay of the outbox in one process', (start) => {
  it('delivers to who subscribed, in order, again after a failure, and then deletes', async () => {
    const { pool } = await start();
    const bus = inProcessBus(systemClock, { maxWaiting: 10_000, maxAttempts: 1, retryDelayMs: 1 });
    const heard: number[] = [];
    let failures = 3;
    bus.subscribe('hours.sealed', async ({ key, value }) => {
      const news = newsShapes['hours.sealed'].parse(JSON.parse(new TextDecoder().decode(value)));
      if (!('index' in news)) throw new Error('omitted');
      expect(key).toBe(news.plant);
      if (news.index === 1_100 && failures-- > 0) throw new Failed('down', 'not now');
      if (!heard.includes(news.index)) heard.push(news.index);
    });
    // More than one row holds, and more rows than one round takes.
    await announce(pool, 'hours.sealed', { news: hours(0, 1_200), nowS: 1 });
    for (let n = 1_200; n < 1_240; n++) {
      await announce(pool, 'hours.sealed', { news: hours(n, n + 1), nowS: 1 });
    }
    const relay = createRelay({ pool, bus, logger, limits });
    await relay.start();
    await emptied(pool);
    expect(heard).toEqual(Array.from({ length: 1_240 }, (_, n) => n));
    expect(failures).toBe(-1);
    await relay.stop();
  });

  it('is done by one, however many there are', async () => {
    const { pool } = await start();
    let published = 0;
    const bus = {
      publish: async () => {
        published++;
      },
    };
    const relays: Relay[] = [1, 2, 3].map(() => createRelay({ pool, bus, logger, limits }));
    await Promise.all(relays.map((relay) => relay.start()));
    for (let n = 0; n < 60; n++) {
      await announce(pool, 'certificates', { news: [], nowS: 1 });
      await announce(pool, 'hours.corrected', { news: hours(n, n + 1), nowS: 1 });
    }
    await emptied(pool);
    expect(published).toBe(60);
    expect(relays.map((relay) => relay.delivered()).sort()).toEqual([0, 0, 60]);
    await Promise.all(relays.map((relay) => relay.stop()));
  });

  it('goes on when the database fails for a while', async () => {
    const { pool } = await start();
    let calls = 0;
    const failing: Pool = {
      ...pool,
      rows: (text, values) => {
        if (calls++ < 7) return Promise.reject(new Failed('database-down', 'away'));
        return pool.rows(text, values);
      },
    };
    const relay = createRelay({
      pool: failing,
      bus: { publish: () => Promise.resolve() },
      logger,
      limits,
    });
    await announce(pool, 'hours.sealed', { news: hours(0, 10), nowS: 1 });
    await relay.start();
    await emptied(pool);
    expect(relay.delivered()).toBeGreaterThanOrEqual(10);
    await relay.stop();
  });
});
