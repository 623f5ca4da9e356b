import type { Pool } from '#platform/postgres.ts';
import { readingFlags } from './plan.ts';

/** How each key of each meter is doing, for those who look after them. `ended`: it, or its meter. */
export interface KeyStatus {
  readonly plant: string;
  readonly meter: string;
  readonly kid: string;
  readonly state: 'active' | 'ended' | 'frozen' | 'silent';
  /** Everything up to it is stored; `maxSeq` is the highest that is. */
  readonly throughSeq: number;
  readonly maxSeq: number;
  /** Of seqs below `maxSeq`. */
  readonly missing: number;
  readonly duplicates: number;
  /** Its newest message; absent where none has come. */
  readonly last?: {
    readonly receivedAt: number;
    readonly readingAt: number;
    /** Undefined where it was accepted. */
    readonly code: string | undefined;
  };
  /** By its newest reading and newest messages: `ahead` where one of them came from the future. */
  readonly clock: 'unknown' | 'synced' | 'unsynced' | 'ahead';
}

export const statusLimitRows = 10_000;
/** Of the newest messages of a key, so many tell how its clock is. */
const newestMessages = 20;

const statusSql = `
  select p.plant, m.meter, k.kid, k.frozen, k.last_seq, m.ends_at,
         coalesce(g.through_seq, 0) as through_seq, coalesce(g.max_seq, 0) as max_seq,
         coalesce(g.duplicates, 0) as duplicates,
         coalesce(g.max_seq - g.through_seq - (
           select count(*) from message c
            where c.key_id = k.key_id and c.seq > g.through_seq and c.seq <= g.max_seq), 0)::bigint
           as missing,
         l.received_at, l.t_last, l.code,
         (select count(*) from (
            select code from message n where n.key_id = k.key_id order by n.seq desc
             limit ${newestMessages}) newest where newest.code = 'future')::integer as ahead,
         (select r.flags & ${readingFlags.unsynced} from reading r
           where r.meter_id = m.meter_id order by r.time desc limit 1)::integer as unsynced
    from meter_key k join meter m using (meter_id) join plant p using (plant_id)
         left join key_progress g using (key_id)
         left join lateral (
           select received_at, t_last, code from message l
            where l.key_id = k.key_id order by l.seq desc limit 1) l on true
   where $1::text is null or m.meter = $1
   order by p.plant, m.meter, k.key_id
   limit ${statusLimitRows}`;

interface Row {
  readonly plant: string;
  readonly meter: string;
  readonly kid: string;
  readonly frozen: boolean;
  readonly last_seq: number | null;
  readonly ends_at: number | null;
  readonly through_seq: number;
  readonly max_seq: number;
  readonly duplicates: number;
  readonly missing: number;
  readonly received_at: number | null;
  readonly t_last: number | null;
  readonly code: string | null;
  readonly ahead: number;
  readonly unsynced: number | null;
}

/**
 * By plant, meter and key, at most `statusLimitRows`; of one meter where it is named. A key that is
 * neither ended nor frozen is `silent` when nothing came from it for `silentAfterS`.
 */
export async function readMeterStatus(
  pool: Pool,
  {
    meter,
    nowS,
    silentAfterS,
  }: { readonly meter?: string | undefined; readonly nowS: number; readonly silentAfterS: number },
): Promise<KeyStatus[]> {
  const rows = await pool.rows<Row>(statusSql, [meter]);
  return rows.map((row) => ({
    plant: row.plant,
    meter: row.meter,
    kid: row.kid,
    state: stateOf(row, nowS - silentAfterS),
    throughSeq: row.through_seq,
    maxSeq: row.max_seq,
    missing: row.missing,
    duplicates: row.duplicates,
    ...(row.received_at !== null &&
      row.t_last !== null && {
        last: {
          receivedAt: row.received_at,
          readingAt: row.t_last,
          code: row.code ?? undefined,
        },
      }),
    clock: clockOf(row),
  }));
}

function stateOf(row: Row, heardSince: number): KeyStatus['state'] {
  if (row.frozen) return 'frozen';
  if (row.last_seq !== null || row.ends_at !== null) return 'ended';
  return (row.received_at ?? -1) < heardSince ? 'silent' : 'active';
}

function clockOf({ received_at, ahead, unsynced }: Row): KeyStatus['clock'] {
  if (ahead > 0) return 'ahead';
  if (received_at === null || unsynced === null) return 'unknown';
  return unsynced === 0 ? 'synced' : 'unsynced';
}
