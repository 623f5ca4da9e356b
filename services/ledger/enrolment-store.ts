import { parseEnrolment, type Enrolment } from '#core/certificate/enrolment.ts';
import { Refused } from '#core/errors.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';

/** Requests of meters that want to be enrolled: kept until somebody approves or refuses them. */

export const enrolmentStates = ['pending', 'approved', 'refused', 'expired'] as const;
export type EnrolmentState = (typeof enrolmentStates)[number];

export interface KeptEnrolment {
  readonly kid: string;
  readonly plant: string;
  readonly meter: string;
  readonly receivedAt: number;
  /** Until then the key's own signature is good. */
  readonly notAfter: number;
  readonly state: EnrolmentState;
  readonly reason?: string;
}

/** Whoever knows a meter's name may ask, so what may wait for one meter is little. */
export const pendingPerMeter = 8;
/** What has expired, or was refused, is forgotten so long after. */
const keptAfterS = 30 * 86_400;
export const listLimitRows = 1_000;

/** The row lock makes those wait who ask for the same meter, so that their number is what was counted. */
const lockMeterSql = `
  select m.meter_id, p.plant, s.origin,
         exists (select 1 from meter_key k where k.kid = $2) as is_known
    from meter m join plant p using (plant_id) cross join log_setting s
   where m.meter = $1
     for update of m`;
const forgetSql = `
  delete from enrolment
   where meter_id = $1 and greatest(not_after, refused_at) < $2`;
const insertSql = `
  insert into enrolment (kid, meter_id, request, received_at, not_after)
  select $1::text, $2::integer, $3::bytea, $4::bigint, $5::bigint
   where (select count(*) from enrolment e
           where e.meter_id = $2 and e.refused_at is null and e.not_after >= $4
             and not exists (select 1 from meter_key k where k.kid = e.kid)) < ${pendingPerMeter}
  on conflict (kid) do nothing`;

/**
 * Takes in a request, whoever brings it; the same once more changes nothing. Refused as
 * `parseEnrolment`; 'meter', 'plant', 'origin' where the log has no such thing; 'known' where the key
 * is in the log, or another request asked for it; 'expired'; 'full' where too many wait for this meter.
 */
export async function requestEnrolment(
  pool: Pool,
  request: Uint8Array,
  { nowS }: { readonly nowS: number },
): Promise<Enrolment> {
  const enrolment = parseEnrolment(request);
  const { meter, notAfter } = enrolment.spec;
  const { kid } = enrolment.key;
  if (notAfter <= nowS) throw new Refused('expired', 'the request has expired');
  await inTransaction(pool, async (sql) => {
    const meterId = await lockMeter(sql, enrolment);
    await sql.run(forgetSql, [meterId, nowS - keptAfterS]);
    const [before] = await sql.rows<{ request: Uint8Array }>(readSql, [kid]);
    if (before !== undefined) {
      if (Buffer.compare(before.request, request) === 0) return;
      throw new Refused('known', `the key ${kid} was asked for before, in another request`);
    }
    if ((await sql.run(insertSql, [kid, meterId, request, nowS, notAfter])) !== 1) {
      throw new Refused('full', `${pendingPerMeter} requests wait for the meter ${meter} already`);
    }
  });
  return enrolment;
}

async function lockMeter(sql: Sql, { origin, spec, key }: Enrolment): Promise<number> {
  const [found] = await sql.rows<{
    meter_id: number;
    plant: string;
    origin: string;
    is_known: boolean;
  }>(lockMeterSql, [spec.meter, key.kid]);
  if (found === undefined) throw new Refused('meter', `no meter ${spec.meter} is in the log`);
  if (found.plant !== spec.plant) {
    throw new Refused('plant', `the meter ${spec.meter} is not at the plant ${spec.plant}`);
  }
  if (found.origin !== origin) throw new Refused('origin', `meant for the log ${origin}`);
  if (found.is_known) throw new Refused('known', 'that key is in the log');
  return found.meter_id;
}

const readSql = `select request from enrolment where kid = $1`;

/** Of one that is pending. Refused('enrolment') for any other. */
export async function readPending(
  pool: Pool,
  kid: string,
  { nowS }: { readonly nowS: number },
): Promise<Enrolment> {
  const [found] = await listEnrolments(pool, { nowS, kid });
  if (found?.state !== 'pending') {
    throw new Refused('enrolment', `${kid} is ${found?.state ?? 'not asked for'}`);
  }
  const { request } = await pool.row<{ request: Uint8Array }>(readSql, [kid]);
  return parseEnrolment(request);
}

const listSql = `
  select e.kid, p.plant, m.meter, e.received_at, e.not_after, e.reason,
         case when exists (select 1 from meter_key k where k.kid = e.kid) then 'approved'
              when e.refused_at is not null then 'refused'
              when e.not_after < $1 then 'expired'
              else 'pending' end as state
    from enrolment e join meter m using (meter_id) join plant p using (plant_id)
   where $2::text is null or e.kid = $2
   order by e.received_at desc, e.kid
   limit ${listLimitRows}`;

interface Row {
  readonly kid: string;
  readonly plant: string;
  readonly meter: string;
  readonly received_at: number;
  readonly not_after: number;
  readonly reason: string | null;
  readonly state: EnrolmentState;
}

/** The newest first, at most `listLimitRows`; of one key where `kid` is given. */
export async function listEnrolments(
  pool: Pool,
  { nowS, kid }: { readonly nowS: number; readonly kid?: string },
): Promise<KeptEnrolment[]> {
  const rows = await pool.rows<Row>(listSql, [nowS, kid]);
  return rows.map(({ received_at, not_after, reason, ...row }) => ({
    ...row,
    receivedAt: received_at,
    notAfter: not_after,
    ...(row.state === 'refused' && reason !== null && { reason }),
  }));
}

const refuseSql = `
  update enrolment e set refused_at = $2, reason = $3
   where kid = $1 and refused_at is null
     and not exists (select 1 from meter_key k where k.kid = e.kid)`;

/** Refused('enrolment') where it is not open any more. */
export async function refuseEnrolment(
  pool: Pool,
  { kid, reason, nowS }: { readonly kid: string; readonly reason: string; readonly nowS: number },
): Promise<void> {
  if ((await pool.run(refuseSql, [kid, nowS, reason])) !== 1) {
    throw new Refused('enrolment', `${kid} is not pending`);
  }
}
