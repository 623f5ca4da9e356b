import { array, either, hashHex, id, instant, integer, object, oneOf } from '#core/shape.ts';
import { optional, pattern, thumbprint, wattHours, type Infer, type Shape } from '#core/shape.ts';
import { utf8 } from '#core/bytes.ts';
import type { Sql } from './postgres.ts';

/**
 * What services tell one another (D5, step 3), as `infra/kafka/README.md` describes it. The key of
 * every piece of news is a plant; '' where none is known.
 */

/** Around every piece of news: version, where it stands in the outbox, when it was written. */
const frame = {
  /** Ascends under one key; what has been seen may come again. */
  id: integer(1),
  part: integer(0),
  time: instant,
  v: oneOf(1),
} as const;

const code = pattern('[a-z][a-z0-9-]{0,63}');
const hours = array(instant, { min: 0, max: 4096 });

const accepted = {
  /** Hours that have something new. */
  hours,
  meters: array(
    object({
      kid: thumbprint,
      maxSeq: integer(1),
      messages: integer(1),
      meter: id,
      /** Every seq up to here is stored. */
      throughSeq: integer(0),
    }),
    { min: 1, max: 10_000 },
  ),
  plant: id,
} as const;

const quarantined = {
  code,
  /** SHA-256 of the bytes as received, of the first ones. */
  hashes: array(hashHex, { min: 1, max: 16 }),
  messages: integer(1),
  meter: optional(id),
  plant: optional(id),
} as const;

const hour = {
  co2G: optional(integer(0)),
  consumption: optional(wattHours),
  generation: optional(wattHours),
  index: integer(0),
  leafHash: hashHex,
  messages: optional(integer(0)),
  plant: id,
  quality: optional(oneOf('measured', 'partial', 'disputed')),
  start: instant,
} as const;

/** An entry may move more: then it is told in parts. */
export const newsRangesLimit = 500;

const certificates = {
  change: oneOf(
    ...(['issued', 'withdrawn', 'cancelled', 'offered', 'accepted', 'refused', 'settled'] as const),
    ...(['locked', 'unlocked'] as const),
  ),
  index: integer(0),
  leafHash: hashHex,
  plant: id,
  ranges: array(object({ from: integer(1), to: integer(1) }), { min: 1, max: newsRangesLimit }),
  series: pattern('energy/[A-Za-z0-9][A-Za-z0-9._-]{0,63}'),
} as const;

/** Stands for a piece of news that the broker finds too large: what it said, the database says. */
const omitted = object({ omittedBytes: integer(1), ...frame });

/** What may be written under each topic, framed, as a consumer reads it. */
export const newsShapes = {
  'messages.accepted': either(object({ ...accepted, ...frame }), omitted),
  'messages.quarantined': either(object({ ...quarantined, ...frame }), omitted),
  'hours.sealed': either(object({ ...hour, ...frame }), omitted),
  'hours.corrected': either(object({ ...hour, ...frame }), omitted),
  certificates: either(object({ ...certificates, ...frame }), omitted),
} as const;

export type NewsTopic = keyof typeof newsShapes;
export const newsTopics = Object.keys(newsShapes) as readonly NewsTopic[];

interface Bare {
  readonly 'messages.accepted': ObjectOfShape<typeof accepted>;
  readonly 'messages.quarantined': ObjectOfShape<typeof quarantined>;
  readonly 'hours.sealed': ObjectOfShape<typeof hour>;
  readonly 'hours.corrected': ObjectOfShape<typeof hour>;
  readonly certificates: ObjectOfShape<typeof certificates>;
}
type ObjectOfShape<M extends Readonly<Record<string, Shape<unknown>>>> = Infer<
  ReturnType<typeof object<M>>
>;

/** A piece of news before it has its place in the outbox. */
export type BareNews<T extends NewsTopic = NewsTopic> = Bare[T];

/** Pieces of news that one row of the outbox holds at most. */
const rowNews = 500;
const insertSql = `
  insert into outbox (topic, key, value, created_at)
  select $1, '', u.value::jsonb, $3 from unnest($2::text[]) with ordinality as u (value, n) order by u.n`;

/**
 * Writes news into the outbox, in the transaction of what they tell. Their order under one key is
 * that of the transactions only where those wait for one another: so this comes after whatever lock
 * they have in common.
 */
export async function announce<T extends NewsTopic>(
  sql: Sql,
  topic: T,
  { news, nowS }: { readonly news: readonly BareNews<T>[]; readonly nowS: number },
): Promise<void> {
  if (news.length === 0) return;
  const rows: string[] = [];
  for (let from = 0; from < news.length; from += rowNews) {
    rows.push(JSON.stringify(news.slice(from, from + rowNews)));
  }
  await sql.run(insertSql, [topic, rows, nowS]);
}

/** A row of the outbox: `news` is an array of objects, as `announce` writes it. */
export interface OutboxRow {
  readonly id: number;
  readonly time: number;
  readonly news: unknown;
}

/** What is to be published for a row, in order. Never throws: what is in the row, goes out. */
export function expandRow({
  id: rowId,
  time,
  news,
}: OutboxRow): { key: string; value: Uint8Array }[] {
  const all: readonly unknown[] = Array.isArray(news) ? news : [news];
  return all.map((one, part) => {
    const members = typeof one === 'object' && one !== null ? one : { news: one };
    const key = 'plant' in members && typeof members.plant === 'string' ? members.plant : '';
    return { key, value: utf8(JSON.stringify({ ...members, id: rowId, part, time, v: 1 })) };
  });
}

/** In place of a piece of news of so many bytes. */
export function omittedNews(
  { id: rowId, time }: Pick<OutboxRow, 'id' | 'time'>,
  { part, bytes }: { readonly part: number; readonly bytes: number },
): Uint8Array {
  return utf8(JSON.stringify({ id: rowId, omittedBytes: bytes, part, time, v: 1 }));
}
