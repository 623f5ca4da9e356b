import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advance } from '#core/certificate/fold.ts';
import { emptyState, type LogState } from '#core/certificate/state/state.ts';
import {
  createBusyLog,
  snapshot,
  soundPart,
  testStartS,
  type LogBuilder,
} from '#support/log-builder.ts';
import { rowsInMemory } from '#support/rows-in-memory.ts';

const hourS = 3600;
const plants = ['solar', 'wind'] as const;

type Step =
  | {
      readonly do: 'seal' | 'correct' | 'disturb';
      readonly plant: 0 | 1;
      readonly hour: number;
      readonly wh: number;
      readonly disputed: boolean;
    }
  | { readonly do: 'cancel'; readonly plant: 0 | 1; readonly from: number; readonly count: number };

const plantIndex = fc.constantFrom<0 | 1>(0, 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'seal' as const,
        'correct' as const,
        'correct' as const,
        'disturb' as const,
      ),
      plant: plantIndex,
      hour: fc.nat(3),
      wh: fc.oneof(fc.nat(40), fc.constant(0)),
      disputed: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('cancel' as const),
      plant: plantIndex,
      from: fc.integer({ min: 1, max: 120 }),
      count: fc.integer({ min: 1, max: 12 }),
    }),
  },
);

/** A second, plainer book: every unit by itself, and per hour what was certified last. */
interface Book {
  readonly units: { owner: string; state: 'active' | 'cancelled' | 'withdrawn'; hour: number }[];
  readonly certified: Map<number, number>;
  owed: number;
}

function booked(book: Book, owner: string, { hour, wh }: { hour: number; wh: number }): void {
  const before = book.certified.get(hour) ?? 0;
  book.certified.set(hour, wh);
  if (wh >= before) {
    const netted = Math.min(book.owed, wh - before);
    book.owed -= netted;
    for (let i = 0; i < wh - before - netted; i++)
      book.units.push({ owner, state: 'active', hour });
    return;
  }
  let left = before - wh;
  for (const unit of book.units.toReversed()) {
    if (left === 0) break;
    if (unit.hour !== hour || unit.owner !== owner || unit.state !== 'active') continue;
    unit.state = 'withdrawn';
    left--;
  }
  book.owed += left;
}

function play(log: LogBuilder, books: readonly Book[], given: Step): void {
  const plant = plants[given.plant];
  const book = books[given.plant];
  if (book === undefined) throw new Error('no book');
  if (given.do === 'cancel') {
    const to = given.from + given.count - 1;
    const { violation } = log.cancel(plant, [{ series: `energy/${plant}`, from: given.from, to }]);
    const units = book.units.slice(given.from - 1, to);
    const all = units.length === given.count && units.every(({ state }) => state === 'active');
    expect(violation === undefined).toBe(all);
    if (all) for (const unit of units) unit.state = 'cancelled';
    return;
  }
  const start = testStartS + given.hour * hourS;
  const sealed = book.certified.has(given.hour);
  const quality = given.disputed ? 'disputed' : 'measured';
  if (given.do === 'disturb') {
    const before = JSON.stringify(soundPart(log.state));
    const certificates = { netted: 1_000_000 };
    expect(
      log.hour(plant, start, { generation: given.wh, quality, certificates }).violation,
    ).toBeDefined();
    expect(JSON.stringify(soundPart(log.state))).toBe(before);
    return;
  }
  const enter = given.do === 'seal' ? log.hour : log.correct;
  const { violation } = enter(plant, start, { generation: given.wh, quality });
  expect(violation === undefined).toBe(given.do === 'seal' ? !sealed : sealed);
  if (violation !== undefined) return;
  const certified = given.disputed ? (book.certified.get(given.hour) ?? 0) : given.wh;
  booked(book, plant, { hour: given.hour, wh: certified });
}

function requireSound(state: LogState, books: readonly Book[]): void {
  for (const [i, name] of plants.entries()) {
    const plant = state.plants.get(name);
    const book = books[i];
    if (plant === undefined || book === undefined) throw new Error(name);
    const total = [...book.certified.values()].reduce((sum, wh) => sum + wh, 0);
    const latest = [...rowsInMemory(plant.hours).values()].reduce(
      (sum, hour) => sum + hour.certifiedWh,
      0,
    );
    requireEqual(plant.certifiedWh, total);
    requireEqual(latest, total);
    requireEqual(plant.issuedWh - plant.withdrawnWh - plant.deficitWh, total);
    requireEqual(plant.deficitWh, book.owed);
    requirePieces(state, name, book);
  }
}

/** Ranges follow one another from 1 on; their pieces cover them; each unit is in the state it must be. */
function requirePieces(state: LogState, plant: string, { units }: Book): void {
  const ranges = state.series.get(`energy/${plant}`)?.ranges ?? [];
  let next = 1;
  for (const range of ranges) {
    requireEqual(range.from, next);
    for (const piece of range.pieces) {
      requireEqual(piece.from, next);
      for (; next <= piece.to; next++) {
        const unit = units[next - 1];
        requireEqual(piece.owner, unit?.owner);
        requireEqual(piece.state, unit?.state);
        requireEqual(range.hourStart, testStartS + (unit?.hour ?? 0) * hourS);
      }
    }
    requireEqual(range.to, next - 1);
  }
  requireEqual(next, units.length + 1);
}

/** `expect` is slow by the hundred thousand. */
function requireEqual(given: unknown, expected: unknown): void {
  if (given !== expected) expect(given).toBe(expected);
}

describe('any sequence of hours, corrections, cancels and breaches', () => {
  it('keeps the balance, gives every unit one owner and one state, and can be replayed', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => {
        const log = createBusyLog();
        const books = plants.map((): Book => ({ units: [], certified: new Map(), owed: 0 }));
        for (const given of steps) {
          play(log, books, given);
          requireSound(log.state, books);
        }
        const again = emptyState();
        for (const bytes of log.entries) advance(again, bytes, { signatures: 'trust' });
        expect(JSON.stringify(snapshot(again))).toBe(JSON.stringify(snapshot(log.state)));
      }),
      { numRuns: 50 },
    );
  });

  it('judges any bytes at all, and changes nothing by them', () => {
    const log = createBusyLog();
    const sound = log.hour('solar', testStartS, 10);
    const entry = log.entries[sound.ref.index] ?? new Uint8Array(0);
    const before = JSON.stringify(soundPart(log.state));
    const bent = fc
      .tuple(fc.nat(entry.length - 1), fc.integer({ min: 1, max: 255 }))
      .map(([at, by]) => {
        const copy = Uint8Array.from(entry);
        copy[at] = (copy[at] ?? 0) ^ by;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(bent, fc.uint8Array({ maxLength: 60 })), (bytes) => {
        const judgement = log.append(bytes);
        expect(judgement.violation).toBeDefined();
        expect(judgement.violation?.code).toMatch(/^[a-z][a-z0-9-]{0,31}$/);
        expect(JSON.stringify(soundPart(log.state))).toBe(before);
      }),
      { numRuns: 300 },
    );
  });
});
