import { expect, test } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { messagesTopic, type Reading } from '#core/energy/message.ts';
import { createIngestion, type Ingestion } from '#ingestion/service.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { ingestionSigner } from '#support/register.ts';
import {
  createTestLedger,
  removeTestFolders,
  testStartS as t0,
  type TestLedger,
} from '#support/test-ledger.ts';

removeTestFolders();

const hourS = 3600;
const dayS = 24 * hourS;
const backlogHours = 48;
const endS = t0 + backlogHours * hourS;

type Random = () => number;

/** Marsaglia's xorshift32: the same numbers for the same seed. */
function randomOf(seed: number): Random {
  let x = Math.imul(seed, 0x9e3779b1) | 1;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) / 2 ** 32;
  };
}

const below = (random: Random, limit: number): number => Math.floor(random() * limit);

function shuffled<T>(random: Random, list: readonly T[]): T[] {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = below(random, i + 1);
    const [a, b] = [out[i], out[j]];
    if (a !== undefined && b !== undefined) [out[i], out[j]] = [b, a];
  }
  return out;
}

/** What one meter says in two days, before anybody signs it. */
interface Said {
  readonly seq: number;
  /** Of the meter's first or second key. */
  readonly era: 0 | 1;
  readonly readings: readonly Reading[];
}

/**
 * Two days of one register: a reading every quarter of an hour or so, some left out, also at the turn
 * of an hour, some that do not count, in messages of one to four readings. The key changes on the way.
 */
function twoDays(random: Random, register: string): { said: Said[]; changeT: number } {
  const changeT = t0 + (10 + below(random, 30)) * hourS + below(random, 4) * 900;
  const said: Said[] = [];
  let value = 1000;
  let [seq, era]: [number, 0 | 1] = [0, 0];
  let readings: Reading[] = [];
  const flush = (): void => {
    if (readings.length > 0) said.push({ seq: (seq += 1), era, readings });
    readings = [];
  };
  for (let t = t0; t <= endS; t += 900) {
    value += below(random, 300);
    const isEdge = t === t0 || t === endS || t === changeT;
    const bad = !isEdge && random() < 0.1;
    if (isEdge || random() > 0.15) {
      const registers = { [register]: value };
      readings.push({ t, registers, ...(bad && { status: 'fault' as const }) });
    }
    // A message stays within one hour, its end included, and bears one key.
    if (t % hourS === 0 || t === changeT || random() < 0.3) flush();
    if (t === changeT) [seq, era] = [0, 1];
  }
  flush();
  return { said, changeT };
}

interface Delivery {
  readonly plant: string;
  readonly meter: string;
  readonly bytes: Uint8Array;
}

/** A plant with a meter that feeds in and one that takes, and the messages of both in their order. */
async function enrol({ enter }: TestLedger, plant: string, dataSeed: number): Promise<Delivery[]> {
  const random = randomOf(dataSeed);
  const deliveries: Delivery[] = [];
  await enter(people.account(plant), people.plant(plant, plant));
  for (const [meter, register, direction, role] of [
    [`${plant}-feeds`, 'exportWh', 'export', 'production'],
    [`${plant}-takes`, 'importWh', 'import', 'auxiliary'],
  ] as const) {
    const { said, changeT } = twoDays(random, register);
    const signers = [`${meter}-a`, `${meter}-b`] as const;
    const registers = { [register]: { direction, unit: 'Wh' } };
    const lastSeq = Math.max(...said.map(({ era, seq }) => (era === 0 ? seq : 0)));
    const end = { kid: people.meterSigner(signers[0]).kid, lastSeq, lastT: changeT };
    await enter(
      people.meter(meter, { at: plant, owner: plant, role, registers }),
      people.key(meter, { at: plant, owner: plant, signer: signers[0] }),
      people.key(meter, { at: plant, owner: plant, signer: signers[1], notBefore: changeT }),
      people.signed('key-end', end, [people.accountSigner(plant)]),
    );
    for (const { seq, era, readings } of said) {
      const jws = people.message({ plant, meter, seq, readings, signer: signers[era] });
      deliveries.push({ plant, meter, bytes: utf8(jws) });
    }
  }
  return deliveries;
}

async function startIngestion(pool: Pool, { clock }: TestLedger): Promise<Ingestion> {
  const ingestion = createIngestion({
    pool,
    clock,
    signer: ingestionSigner,
    sendReceipt: () => Promise.resolve(),
    logger: createLogger({ name: 'backlog', level: 'silent' }),
  });
  await ingestion.start();
  return ingestion;
}

async function deliver(
  ingestion: Ingestion,
  batch: readonly Delivery[],
  receivedAt: number,
): Promise<void> {
  await Promise.all(
    batch.map(({ plant, meter, bytes }) =>
      ingestion.accept({ sender: meter, topic: messagesTopic(plant, meter), bytes, receivedAt }),
    ),
  );
}

interface Hour {
  readonly start: number;
  readonly generation_wh: number;
  readonly certified_wh: number;
  readonly quality: string;
  readonly complete: boolean;
}

/** Of the two days; those after them are empty. */
const latestHours = (pool: Pool, plant: string): Promise<Hour[]> =>
  pool.rows<Hour>(
    `select distinct on (start) start, generation_wh, certified_wh, quality, complete
     from hour_value join plant using (plant_id) where plant = $1 and start < $2 order by start, version desc`,
    [plant, endS],
  );

interface CorrectionRow {
  readonly data: string;
}

const corrections = (pool: Pool): Promise<CorrectionRow[]> =>
  pool.rows<CorrectionRow>(
    `select convert_from(data, 'utf8') as data from log_entry where kind = 'hour-correction'`,
  );

const orders = ['in order', 'backwards', 'at random', 'at random again'] as const;

function inOrder(
  order: (typeof orders)[number],
  random: Random,
  messages: readonly Delivery[],
): Delivery[] {
  if (order === 'in order') return [...messages];
  return order === 'backwards' ? messages.toReversed() : shuffled(random, messages);
}

/** Merges the plants' queues, each keeping its own order. */
function merged(random: Random, queues: readonly (readonly Delivery[])[]): Delivery[] {
  const left = queues.map((queue) => [...queue]);
  const out: Delivery[] = [];
  for (;;) {
    const open = left.filter((queue) => queue.length > 0);
    const next = open[below(random, open.length)]?.shift();
    if (next === undefined) return out;
    out.push(next);
  }
}

onEachEngine('a backlog of two days', (start) => {
  test.each([1, 2])(
    'yields no correction and the same hours, in whatever order it comes (%i)',
    async (seed) => {
      const { pool } = await start();
      const ledger = createTestLedger(pool);
      await ledger.enter(people.genesis({ deadlineS: 7 * dayS }));
      const random = randomOf(seed * 1000);
      const queues: Delivery[][] = [];
      for (const [i, order] of orders.entries()) {
        queues.push(inOrder(order, random, await enrol(ledger, `p${i}`, seed)));
      }
      const ingestion = await startIngestion(pool, ledger);
      const nowS = endS + 600;
      await ledger.clock.advance(nowS * 1000);
      // Some one by one, some many at once, and the ledger looks whenever it likes.
      const waiting = merged(random, queues);
      for (let at = 0; at < waiting.length;) {
        const count = random() < 0.5 ? 1 : below(random, 60);
        await deliver(ingestion, waiting.slice(at, at + count), nowS);
        at += count;
        if (random() < 0.2) await ledger.ledger.step();
      }
      await ledger.ledger.step();
      await ingestion.stop();

      expect(await corrections(pool)).toEqual([]);
      const expected = await latestHours(pool, 'p0');
      expect(expected).toHaveLength(backlogHours);
      expect(expected.every(({ complete }) => complete)).toBe(true);
      expect(expected.some(({ generation_wh }) => generation_wh > 0)).toBe(true);
      expect(new Set(expected.map(({ quality }) => quality))).toEqual(
        new Set(['measured', 'partial']),
      );
      for (const i of orders.keys()) expect(await latestHours(pool, `p${i}`)).toEqual(expected);
    },
  );

  test.each([3])(
    'that comes after deadlines ends in the same hours, and takes back no unit (%i)',
    async (seed) => {
      const { pool } = await start();
      const ledger = createTestLedger(pool);
      await ledger.enter(people.genesis());
      const random = randomOf(seed * 1000);
      const reference = await enrol(ledger, 'p0', seed);
      const queues = [
        inOrder('backwards', random, await enrol(ledger, 'p1', seed)),
        inOrder('at random', random, await enrol(ledger, 'p2', seed)),
      ];
      const ingestion = await startIngestion(pool, ledger);
      let nowS = endS + 600;
      await ledger.clock.advance(nowS * 1000);
      await deliver(ingestion, reference, nowS);
      // By now the first day's hours are overdue, and the others become so while messages come in.
      const waiting = merged(random, queues);
      const steps = 30;
      for (let i = 0; i < steps; i++) {
        nowS += hourS;
        await ledger.clock.advance(nowS * 1000);
        const part = (n: number): number => Math.floor((waiting.length * n) / steps);
        await deliver(ingestion, waiting.slice(part(i), part(i + 1)), nowS);
        await ledger.ledger.step();
      }
      await ingestion.stop();

      const written = await corrections(pool);
      expect(written.length).toBeGreaterThan(0);
      for (const { data } of written) {
        expect(JSON.parse(data)).toMatchObject({
          spec: { certificates: { deficit: 0, netted: 0, withdrawn: [] } },
        });
      }
      const expected = await latestHours(pool, 'p0');
      expect(expected).toHaveLength(backlogHours);
      for (const plant of ['p1', 'p2']) expect(await latestHours(pool, plant)).toEqual(expected);
    },
  );
});
