import fc from 'fast-check';
import { expect, it } from 'vitest';
import { toHex } from '#core/bytes.ts';
import type { EntryRef } from '#core/certificate/entry.ts';
import { advance } from '#core/certificate/fold.ts';
import { advanceStateTree, stateRoot } from '#core/certificate/state/state-tree.ts';
import { emptyState } from '#core/certificate/state/state.ts';
import { createBusyLog, snapshot, testStartS, type LogBuilder } from '#support/log-builder.ts';
import { act, euros, hourS, reason } from '#support/trade-log.ts';
import { change, isNow, isTimed, issue, newBook, rootOf } from '#support/trade-oracle.ts';
import type { Book, Deal, Unit } from '#support/trade-oracle.ts';

const expireAfterS = 8 * hourS;
const plants = ['solar', 'wind'] as const;
const accounts = ['solar', 'wind', 'factory'] as const;
const kinds = [
  ...['offer', 'offer', 'offer', 'accept', 'accept', 'accept', 'accept', 'settle', 'settle'],
  ...['refuse', 'refuse', 'cancel', 'cancel', 'lock', 'unlock', 'unlock', 'withdraw', 'seal'],
  ...['correct', 'wait'],
] as const;

const step = fc.record({
  kind: fc.constantFrom(...kinds),
  plant: fc.constantFrom<0 | 1>(0, 1),
  /** The plant's own where there is none: most of what strangers try is refused. */
  other: fc.option(fc.constantFrom(...accounts), { nil: undefined, freq: 2 }),
  counterparty: fc.option(fc.constantFrom(...accounts), { nil: undefined, freq: 1 }),
  from: fc.integer({ min: 1, max: 36 }),
  count: fc.integer({ min: 1, max: 6 }),
  wh: fc.integer({ min: 15, max: 45 }),
  /** Which of the deals so far, the newest first. */
  deal: fc.nat(1),
  hasItems: fc.boolean(),
  hour: fc.nat(3),
  payInS: fc.option(fc.nat(3 * hourS), { nil: undefined }),
  waitS: fc.integer({ min: 1, max: hourS }),
});
type Given = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Step = Given & { readonly account: string };

interface Struck {
  readonly ref: EntryRef;
  readonly deal: Deal;
  readonly book: Book;
  /** The first of its units. */
  readonly from: number;
}

interface World {
  readonly log: LogBuilder;
  readonly books: readonly Book[];
  readonly certified: readonly Map<number, number>[];
  readonly deals: Struck[];
  readonly accepts: Struck[];
  /** What was locked: most of what is drawn at random is not. */
  readonly locks: { readonly book: Book; readonly range: Pick<Step, 'from' | 'count'> }[];
}

/** Who acts where nobody else was drawn: who is most likely to be allowed to. */
function accountOf({ kind, plant, other }: Given): string {
  return other ?? (kind === 'accept' ? 'factory' : plants[plant]);
}

const newest = <T>(list: readonly T[], back: number): T | undefined => list.at(-1 - back);
const plain = ({ hourStart, owner }: Unit, last: number) => ({ hourStart, owner, last });

function numbersOf(book: Book, isMeant: (unit: Unit) => boolean): number[] {
  return book.units.flatMap((unit, i) => (isMeant(unit) ? [i + 1] : []));
}

/** Enters an action on `numbers`; the oracle says with `may` of each unit whether it is allowed. */
function play(
  { log }: World,
  book: Book,
  turn: {
    readonly kind: string;
    readonly said: object;
    readonly numbers: readonly number[];
    readonly isAllowed?: boolean;
    readonly may: (unit: Unit) => boolean;
    readonly to: (unit: Unit, index: number) => Unit;
  },
): EntryRef | undefined {
  const { kind, said, numbers, isAllowed = true, may, to } = turn;
  const units = numbers.map((n) => book.units[n - 1]);
  const isDue =
    isAllowed && units.length > 0 && units.every((unit) => unit !== undefined && may(unit));
  const { violation, ref } = act(log, kind, { ...said });
  expect([kind, violation?.message ?? 'sound']).toEqual([
    kind,
    isDue ? 'sound' : (violation?.message ?? 'a violation'),
  ]);
  if (violation !== undefined) return undefined;
  change(book, numbers, (unit) => to(unit, ref.index));
  return ref;
}

/** The range that a step names, as numbers and as an item. */
function named({ from, count }: Step, { series }: Book) {
  const numbers = Array.from({ length: count }, (_, i) => from + i);
  return { numbers, items: [{ series, from, to: from + count - 1 }] };
}

const turns: Record<string, (world: World, book: Book, given: Step) => void> = {
  wait({ log }, _book, { waitS }) {
    log.time += waitS;
  },
  seal: (world, book, given) => moveHour(world, book, given),
  correct: (world, book, given) => moveHour(world, book, given),
  offer(world, book, given) {
    const { account, counterparty, payInS } = given;
    const { log } = world;
    const { numbers, items } = named(given, book);
    const payBy = payInS === undefined ? undefined : log.time + payInS;
    const deal: Deal = { seller: account, counterparty, payBy };
    const terms = payBy === undefined ? {} : { terms: euros(payBy) };
    const ref = play(world, book, {
      kind: 'offer',
      said: { account, items, ...(counterparty !== undefined && { counterparty }), ...terms },
      numbers,
      isAllowed: counterparty !== account,
      may: (unit) => unit.owner === account && isNow(unit, log.time, expireAfterS) === 'active',
      to: (unit, index) => ({ ...plain(unit, index), state: 'offered', deal }),
    });
    if (ref !== undefined) world.deals.push({ ref, deal, book, from: given.from });
  },
  accept(world, _book, given) {
    const found = newest(world.deals, given.deal);
    if (found === undefined) return;
    const { log } = world;
    const { deal, book, ref: offer } = found;
    const { seller, counterparty, payBy } = deal;
    const { account } = given;
    const from = given.hasItems ? given.from : found.from;
    const { numbers, items } = named({ ...given, from }, book);
    const ref = play(world, book, {
      kind: 'accept',
      said: { account, offer, items },
      numbers,
      isAllowed:
        account !== seller &&
        (counterparty ?? account) === account &&
        log.time <= (payBy ?? log.time),
      may: (unit) => unit.deal === deal && isNow(unit, log.time, expireAfterS) === 'offered',
      to: (unit, index) =>
        payBy === undefined
          ? { ...plain(unit, index), owner: account, state: 'active' }
          : { ...plain(unit, index), state: 'reserved', deal, buyer: account, accept: index },
    });
    if (ref !== undefined && payBy !== undefined) world.accepts.push({ ref, deal, book, from });
  },
  settle(world, _book, given) {
    const found = newest(world.accepts, given.deal);
    if (found === undefined) return;
    const { log } = world;
    const { deal, book, ref: accept } = found;
    const may = (unit: Unit) => unit.state === 'reserved' && unit.accept === accept.index;
    const account = given.other ?? deal.seller;
    const { numbers, items } = named({ ...given, from: found.from, count: 1 }, book);
    play(world, book, {
      kind: 'settle',
      said: {
        ...{ account, accept, reference: 'paid' },
        ...(given.hasItems && { items }),
      },
      numbers: given.hasItems ? numbers : numbersOf(book, may),
      isAllowed: account === deal.seller && log.time <= (deal.payBy ?? log.time),
      may,
      to: (unit, index) => ({ ...plain(unit, index), owner: unit.buyer ?? '', state: 'active' }),
    });
  },
  refuse(world, _book, given) {
    const found = newest(world.deals, given.deal);
    if (found === undefined) return;
    const { log } = world;
    const { deal, book, ref: offer } = found;
    const account = given.other ?? deal.counterparty ?? deal.seller;
    const may = (unit: Unit): boolean => {
      if (unit.deal !== deal) return false;
      const now = isTimed(unit, log.time);
      if (now === 'reserved') return unit.buyer === account;
      return now === 'offered' && [deal.seller, deal.counterparty].includes(account);
    };
    const { numbers, items } = named(given, book);
    play(world, book, {
      kind: 'refuse',
      said: { account, offer, ...(given.hasItems && { items }) },
      numbers: given.hasItems ? numbers : numbersOf(book, may),
      may,
      to: (unit, index) => ({ ...plain(unit, index), state: 'active' }),
    });
  },
  cancel(world, book, given) {
    const { account } = given;
    const { numbers, items } = named(given, book);
    const period = { from: testStartS, to: testStartS };
    play(world, book, {
      kind: 'cancel',
      said: { account, items, beneficiary: 'b', period, purpose: 'p' },
      numbers,
      may: (unit) =>
        unit.owner === account && isNow(unit, world.log.time, expireAfterS) === 'active',
      to: (unit, index) => ({ ...plain(unit, index), state: 'cancelled' }),
    });
  },
  lock: (world, book, given) => {
    const { from, count } = given;
    world.locks.push({ book, range: { from, count } });
    measure(world, book, given, {
      may: ({ state }) => state !== 'locked' && state !== 'withdrawn',
      to(unit, index) {
        const { state, deal, buyer, accept } = unit;
        return { ...plain(unit, index), state: 'locked', held: { state, deal, buyer, accept } };
      },
    });
  },
  unlock: (world, book, given) => {
    const found = given.hasItems ? undefined : newest(world.locks, given.deal);
    measure(
      world,
      found?.book ?? book,
      { ...given, ...found?.range },
      {
        may: ({ state }) => state === 'locked',
        to: (unit, index) => ({ ...plain(unit, index), state: '', ...unit.held }),
      },
    );
  },
  withdraw: (world, book, given) => {
    measure(world, book, given, {
      may: ({ state }) => state !== 'withdrawn',
      to: (unit, index) => ({ ...plain(unit, index), state: 'withdrawn' }),
    });
  },
};

function measure(
  world: World,
  book: Book,
  ...[given, rule]: [Step, Pick<Parameters<typeof play>[2], 'may' | 'to'>]
): void {
  const { numbers, items } = named(given, book);
  play(world, book, { kind: given.kind, said: { items, ...reason }, numbers, ...rule });
}

/** Seals or corrects an hour; what it issues is its own figure, what it withdraws the oracle's. */
function moveHour({ log, books, certified }: World, book: Book, given: Step): void {
  const { hour, wh } = given;
  const start = testStartS + hour * hourS;
  const plant = given.plant === 0 ? 'solar' : 'wind';
  const known = certified[books.indexOf(book)];
  const before = known?.get(hour);
  const enter = given.kind === 'seal' ? log.hour : log.correct;
  const { violation, ref, entry } = enter(plant, start, wh);
  const isDue = log.time >= start + hourS && (given.kind === 'seal') === (before === undefined);
  expect(violation === undefined).toBe(isDue);
  if (violation !== undefined) return;
  known?.set(hour, wh);
  const spec = entry?.spec as {
    certificates: {
      issued?: { from: number; to: number };
      withdrawn?: { from: number; to: number }[];
    };
  };
  const { issued, withdrawn = [] } = spec.certificates;
  const own = numbersOf(
    book,
    (unit) =>
      unit.hourStart === start && unit.owner === plant && isTimed(unit, log.time) === 'active',
  );
  const stated = withdrawn.flatMap(({ from, to }) =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i),
  );
  // The highest of its own, and no more than the decrease.
  expect(stated).toEqual(own.slice(own.length - stated.length));
  expect(stated.length).toBeLessThanOrEqual(Math.max(0, (before ?? 0) - wh));
  change(book, stated, (unit) => ({ ...plain(unit, ref.index), state: 'withdrawn' }));
  if (issued === undefined) return;
  const issuedWh = issued.to - issued.from + 1;
  issue(book, { count: issuedWh, owner: plant, hourStart: start, index: ref.index });
}

function requireSame({ log, books, certified }: World): void {
  books.forEach((book, i) => {
    const plant = log.state.plants.get(plants[i] ?? '');
    const ranges = [...(log.state.series.get(book.series)?.ranges ?? [])];
    const units = ranges.flatMap(({ pieces }) =>
      pieces.flatMap(({ from, to, owner, state, lastIndex }) =>
        Array.from({ length: to - from + 1 }, () => `${owner} ${state} ${lastIndex}`),
      ),
    );
    expect(units).toEqual(book.units.map(({ owner, state, last }) => `${owner} ${state} ${last}`));
    const living = book.units.filter(({ state }) => state !== 'withdrawn').length;
    const certifiedWh = [...(certified[i]?.values() ?? [])].reduce((sum, wh) => sum + wh, 0);
    expect(plant?.certifiedWh).toBe(certifiedWh);
    expect(living - (plant?.deficitWh ?? 0)).toBe(certifiedWh - (plant?.revokedWh ?? 0));
    expect(plant?.deficitWh).toBeLessThanOrEqual(living);
  });
}

it('leads whatever anybody does to what an oracle of single watt-hours says, in one tree', () => {
  const sound = new Map<string, number>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), (steps) => {
      const log = createBusyLog({ rules: { expireAfterS } });
      const books = plants.map((plant) => newBook(`energy/${plant}`));
      const certified = plants.map(() => new Map<number, number>());
      const world: World = { log, books, certified, deals: [], accepts: [], locks: [] };
      log.time = testStartS + 2 * hourS;
      const begin = { ...steps[0], kind: 'seal', hour: 0, wh: 36 } as Step;
      moveHour(world, books[0] ?? newBook(''), { ...begin, plant: 0 });
      moveHour(world, books[1] ?? newBook(''), { ...begin, plant: 1 });
      for (const { other, ...rest } of steps) {
        const given: Step = { ...rest, other, account: accountOf({ other, ...rest }) };
        const broken = log.state.violations.size;
        const { size } = log.state;
        turns[given.kind]?.(world, books[given.plant] ?? newBook(''), given);
        const isSound = log.state.size > size && log.state.violations.size === broken;
        if (isSound) sound.set(given.kind, (sound.get(given.kind) ?? 0) + 1);
      }
      requireSame(world);
      const again = emptyState();
      for (const bytes of log.entries) advance(again, bytes, { signatures: 'trust' });
      expect(JSON.stringify(snapshot(again))).toBe(JSON.stringify(snapshot(log.state)));
      advanceStateTree(log.state.stateTree, log.state.size);
      expect(toHex(stateRoot(log.state.stateTree))).toBe(rootOf(books));
    }),
    { numRuns: 120 },
  );
  const done = [...sound].flatMap(([kind, count]) => (count > 4 ? [kind] : []));
  expect(done.sort()).toEqual([...new Set(kinds)].filter((kind) => kind !== 'wait').sort());
});
