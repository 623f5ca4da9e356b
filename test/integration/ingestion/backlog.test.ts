import { expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { Failed } from '#core/errors.ts';
import { createBacklog, type Backlog } from '#ingestion/backlog.ts';
import { drainOldest, storePutOff, type PutOff } from '#ingestion/backlog-store.ts';
import { defaultIngestionLimits } from '#ingestion/config.ts';
import { createPace } from '#ingestion/pace.ts';
import type { Intake } from '#platform/intake.ts';
import type { Pool } from '#platform/postgres.ts';
import { onEveryEngine, onPostgres } from '#support/postgres.ts';
import { at, quiet, until } from './rig.ts';

const limits = { ...defaultIngestionLimits, drainEveryMs: 5, backlogMessages: 10 };

function item(sender: string, text: string): PutOff {
  const arrival = { sender, topic: `of ${sender}`, bytes: utf8(text), receivedAt: at };
  return { sender, arrival };
}

function items(sender: string, count: number, from = 0): PutOff[] {
  return Array.from({ length: count }, (_, i) => item(sender, `${sender} ${from + i}`));
}

/** Everybody is over the quota until `open` lets them pass. */
function backlogOf(pool: Pool, verify: Intake): { backlog: Backlog; open: () => void } {
  let nowMs = 0;
  const pace = createPace({ ...limits, messagesPerSecond: 1, burstMessages: 1 }, () => nowMs);
  const open = (): void => {
    nowMs += 3_600_000;
  };
  const quota = { takes: (sender: string) => nowMs > 0 || (pace.takes(sender), false) };
  const backlog = createBacklog(
    {
      pool,
      pace: { ...pace, ...quota },
      verify,
      senderOf: ({ sender }) => sender,
      logger: quiet,
      onDeath: (error) => {
        throw error;
      },
    },
    limits,
  );
  backlog.start();
  return { backlog, open };
}

const sumsSql = `
  select sender, messages, bytes, overflowed,
         (select count(*) from backlog b where b.sender = s.sender) as rows,
         (select coalesce(sum(length(bytes)), 0)::bigint from backlog b
           where b.sender = s.sender) as stored
    from backlog_sender s order by sender`;

onEveryEngine('the backlog', (start) => {
  it('keeps so many messages of a sender, and so many bytes, and no more', async () => {
    const { pool } = await start();
    const bounds = { backlogMessages: 3, backlogBytes: 100 };
    const first = [...items('A', 5), ...items('B', 2)];
    const overflow = await storePutOff(pool, first, bounds);
    expect([...overflow]).toEqual(first.slice(3, 5));
    const long = [item('B', 'x'.repeat(100)), item('B', 'short')];
    // What is behind one that did not fit waits with it, or its order would be lost.
    expect([...(await storePutOff(pool, long, bounds))]).toEqual(long);
    const sums = await pool.rows(sumsSql);
    expect(sums).toEqual([
      { sender: 'A', messages: 3, bytes: 9, overflowed: 2, rows: 3, stored: 9 },
      { sender: 'B', messages: 2, bytes: 6, overflowed: 2, rows: 2, stored: 6 },
    ]);
  });

  it('gives everything to be verified as it came, each sender in order', async () => {
    const { pool } = await start();
    const verified: string[] = [];
    const { backlog, open } = backlogOf(pool, async ({ sender, topic, bytes, receivedAt }) => {
      expect({ topic, receivedAt }).toEqual({ topic: `of ${sender}`, receivedAt: at });
      verified.push(Buffer.from(bytes).toString());
    });
    const all = [...items('A', 6), ...items('B', 4)];
    await Promise.all(all.map(({ arrival }) => backlog.accept(arrival)));
    expect(verified).toEqual([]);
    open();
    await until(() => verified.length === 10);
    for (const sender of ['A', 'B']) {
      const own = verified.filter((text) => text.startsWith(sender));
      expect(own).toEqual(own.map((_, i) => `${sender} ${i}`));
    }
    await backlog.stop();
    expect(await pool.rows('select 1 from backlog_sender where messages > 0 or bytes > 0')).toEqual(
      [],
    );
  });

  it('keeps what cannot be stored now, and puts what never can be into quarantine', async () => {
    const { pool } = await start();
    let away = true;
    const verified: string[] = [];
    const { backlog, open } = backlogOf(pool, async ({ bytes }) => {
      const text = Buffer.from(bytes).toString();
      if (away) throw new Failed('database-down', 'no database');
      if (text === 'A 1') throw new RangeError('an error of ours');
      verified.push(text);
    });
    for (const { arrival } of items('A', 3)) await backlog.accept(arrival);
    open();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await pool.rows('select failures from backlog')).toEqual(
      Array.from({ length: 3 }, () => ({ failures: 0 })),
    );
    away = false;
    await until(async () => (await pool.rows('select 1 from backlog')).length === 0);
    await backlog.stop();
    expect(verified).toEqual(['A 0', 'A 2']);
    expect(await pool.rows('select sender, topic, code, signed, bytes from quarantine')).toEqual([
      { sender: 'A', topic: 'of A', code: 'error', signed: false, bytes: utf8('A 1') },
    ]);
  });

  it('takes in what has an error of ours, so that it holds up nobody', async () => {
    const { pool } = await start();
    let broken = true;
    let verified = 0;
    const { backlog, open } = backlogOf(pool, async () => {
      if (broken) throw new RangeError('an error of ours');
      verified++;
    });
    open();
    await backlog.accept(item('A', 'A 0').arrival);
    expect(backlog.counts()).toEqual({ putOff: 1, overflowed: 0 });
    broken = false;
    await until(() => verified === 1);
    await backlog.stop();
  });
});

onPostgres('the backlog of several processes', (start) => {
  it('keeps one limit, whoever adds at the same time', async () => {
    const database = await start();
    const pools = [database.anotherPool(), database.anotherPool()];
    const bounds = { backlogMessages: 100, backlogBytes: 1_000_000 };
    const overflows = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        storePutOff(
          pools[i % 2] ?? database.pool,
          [...items('A', 10), ...items('B', 3)].sort(() => (i % 3) - 1),
          bounds,
        ),
      ),
    );
    const refused = overflows.reduce((sum, { size }) => sum + size, 0);
    expect(refused).toBe(100);
    expect(await database.pool.rows(sumsSql)).toMatchObject([
      { sender: 'A', messages: 100, overflowed: 100, rows: 100 },
      { sender: 'B', messages: 60, overflowed: 0, rows: 60 },
    ]);
  });

  it('is worked off by one at a time, and by another when that one dies', async () => {
    const database = await start();
    const pools = [database.anotherPool(), database.anotherPool()] as const;
    await storePutOff(database.pool, items('A', 5), limits);
    const turn = { senders: ['A'], messagesPerSender: 10, failuresLimit: 3, leaseS: 1 };
    const [one, two] = [
      { ...turn, holder: 'one' },
      { ...turn, holder: 'two' },
    ];
    let other: boolean | undefined;
    const dying = drainOldest(pools[0], one, async () => {
      other = await drainOldest(pools[1], two, () => {
        throw new Error('both at once');
      });
      // More may come meanwhile: nobody's acknowledgement waits for the one who works.
      await storePutOff(pools[1], items('A', 2, 5), limits);
      throw new Failed('database-down', 'gone');
    });
    await expect(dying).rejects.toMatchObject({ code: 'database-down' });
    expect(other).toBe(false);
    const texts: string[] = [];
    await until(() =>
      drainOldest(pools[1], two, async (waiting) => {
        texts.push(...waiting.map(({ arrival }) => Buffer.from(arrival.bytes).toString()));
        return waiting.map(() => 'done');
      }),
    );
    expect(texts).toEqual(
      items('A', 7).map(({ arrival }) => Buffer.from(arrival.bytes).toString()),
    );
    expect(await database.pool.rows(sumsSql)).toMatchObject([{ messages: 0, bytes: 0, rows: 0 }]);
  });
});
