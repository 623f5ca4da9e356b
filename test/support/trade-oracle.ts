import { toHex, utf8 } from '#core/bytes.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { hourS } from './trade-log.ts';

/** Certificates as property (D4.4) in the plainest way: every watt-hour by itself. */

export interface Deal {
  readonly seller: string;
  readonly counterparty: string | undefined;
  readonly payBy: number | undefined;
}

interface Said {
  readonly state: string;
  readonly deal?: Deal | undefined;
  /** Whose a reserved unit will be, and by which accept. */
  readonly buyer?: string | undefined;
  readonly accept?: number | undefined;
}

export interface Unit extends Said {
  readonly hourStart: number;
  readonly owner: string;
  readonly last: number;
  readonly held?: Said | undefined;
}

export interface Book {
  readonly series: string;
  readonly units: Unit[];
  /** Numbers of units that a piece begins with. */
  readonly cuts: Set<number>;
  readonly issued: { readonly from: number; readonly to: number; readonly index: number }[];
}

export function newBook(series: string): Book {
  return { series, units: [], cuts: new Set(), issued: [] };
}

/** What a unit is once time has done its part. */
export function isNow(unit: Unit, time: number, expireAfterS: number): string {
  const { state, deal, hourStart } = unit;
  const isDeal = state === 'offered' || state === 'reserved';
  const now = isDeal && deal?.payBy !== undefined && time > deal.payBy ? 'active' : state;
  const isOver = time > hourStart + hourS + expireAfterS;
  return (now === 'active' || now === 'offered') && isOver ? 'expired' : now;
}

/** As `isNow`, for those whom expiry does not concern. */
export function isTimed(unit: Unit, time: number): string {
  return isNow(unit, time, Number.POSITIVE_INFINITY);
}

export function issue(
  book: Book,
  {
    count,
    owner,
    hourStart,
    index,
  }: Record<'count' | 'hourStart' | 'index', number> & { owner: string },
): void {
  if (count === 0) return;
  const from = book.units.length + 1;
  for (let i = 0; i < count; i++) {
    book.units.push({ state: 'active', hourStart, owner, last: index });
  }
  book.cuts.add(from).add(from + count);
  book.issued.push({ from, to: from + count - 1, index });
}

/** Changes units by their numbers, and cuts the pieces where a run of these numbers begins and ends. */
export function change(book: Book, numbers: readonly number[], to: (unit: Unit) => Unit): void {
  const chosen = new Set(numbers);
  for (const n of numbers) {
    const unit = book.units[n - 1];
    if (unit === undefined) throw new Error(`no unit ${n}`);
    book.units[n - 1] = to(unit);
    if (!chosen.has(n - 1)) book.cuts.add(n);
    if (!chosen.has(n + 1)) book.cuts.add(n + 1);
  }
}

/** The root of the state tree, worked out from single units. Ranges in the order of issue. */
export function rootOf(books: readonly Book[]): string {
  const leaves = books
    .flatMap((book) => book.issued.map((range) => ({ book, ...range })))
    .sort((a, b) => a.index - b.index)
    .map(({ book, from, to, index }) => {
      const pieces = toHex(treeRoot(piecesOf(book, from, to).map(hashOfJson)));
      return hashOfJson({ from, index, pieces, series: book.series, to });
    });
  return toHex(treeRoot(leaves));
}

function piecesOf({ units, cuts }: Book, from: number, to: number): object[] {
  const begins = [...cuts].filter((n) => n >= from && n <= to).sort((a, b) => a - b);
  return begins.map((begin, i) => {
    const unit = units[begin - 1];
    const end = (begins[i + 1] ?? to + 1) - 1;
    return { from: begin, lastIndex: unit?.last, owner: unit?.owner, state: unit?.state, to: end };
  });
}

/** Members must be given in their order. */
const hashOfJson = (value: object): Uint8Array => leafHash(utf8(JSON.stringify(value)));
