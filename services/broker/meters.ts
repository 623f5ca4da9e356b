import { Refused } from '#core/errors.ts';
import {
  checkConnect,
  connectExpiryS,
  parseConnect,
  type Connect,
  type ParsedConnect,
} from '#core/energy/connect.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Pool } from '#platform/postgres.ts';
import { verifierOf } from '#platform/verify.ts';
import type { Access } from './access.ts';
import type { ShownCertificate } from './tls.ts';

/** What somebody shows who wants to connect. */
export interface Shown {
  readonly clientId: string;
  readonly userName: string | undefined;
  readonly password: Uint8Array | undefined;
  /** What it showed on a connection over TLS. */
  readonly certificate?: ShownCertificate | undefined;
}

/** A password alone decides where there is one, also for whoever shows a certificate to others. */
export type Credentials =
  | { readonly clientId: string; readonly parsed: ParsedConnect }
  | { readonly clientId: string; readonly certificate: ShownCertificate };

/** What can be refused without asking anybody. Throws Refused with why. */
export function readCredentials({ clientId, userName, password, certificate }: Shown): Credentials {
  if (password === undefined && certificate !== undefined) {
    requireSame(clientId, userName ?? clientId);
    return { clientId, certificate };
  }
  if (password === undefined) throw new Refused('form', 'no password');
  requireSame(clientId, userName);
  return { clientId, parsed: parseConnect(password) };
}

function requireSame(clientId: string, userName: string | undefined): void {
  if (userName !== clientId) throw new Refused('subject', 'client id and user name differ');
}

const keySql = `
  select k.key_id, k.jwk, k.ocmf is not null as is_ocmf, least(k.last_t, m.ends_at) as last_t,
         m.meter, p.plant, m.spec ->> 'clock' as clock,
         (s.rules ->> 'lateAfterS')::bigint as late_after_s
    from meter_key k join meter m using (meter_id) join plant p using (plant_id)
         cross join log_setting s
   where k.kid = $1`;

interface KeyRow {
  readonly key_id: number;
  readonly jwk: unknown;
  readonly is_ocmf: boolean;
  readonly last_t: number | null;
  readonly meter: string;
  readonly plant: string;
  readonly clock: string | null;
  readonly late_after_s: number;
}

/** Whoever has a key may fill this many rows of it in a day, and no more. */
const jtisPerKey = 1_000;

/**
 * A jti works once, and the insertion decides: of two brokers one writes the row. In the database
 * rather than in memory, because the password is good for a day and a restart forgets.
 */
const useJtiSql = `
  insert into connect_jti (key_id, jti, expires_at)
  select $1::integer, $2::text, $3::bigint
   where (select count(*) from connect_jti where key_id = $1 and expires_at > $4) < ${jtisPerKey}
  on conflict (key_id, jti) do nothing`;
const sweepJtiSql = `
  delete from connect_jti where (key_id, jti) in (
    select key_id, jti from connect_jti where expires_at <= $1 order by expires_at limit 100)`;

/**
 * Who may connect: client id and user name are the meter's id, the password is a `hourseal-connect`
 * JWS by one of the meter's own keys, meant for this broker and fresh. Nobody can take a meter's
 * place by its client id alone, since this comes before the broker looks for another connection.
 *
 * A frozen key may connect, since its messages are kept; an ended key may until everything under it
 * would arrive late. Throws Refused with why; Failed when the database cannot be asked.
 */
export async function authenticateMeter(
  pool: Pool,
  credentials: Credentials,
  { audience, nowS }: { readonly audience: string; readonly nowS: number },
): Promise<Access> {
  if ('certificate' in credentials) return byCertificate(pool, credentials, nowS);
  const { clientId, parsed } = credentials;
  const [key] = await pool.rows<KeyRow>(keySql, [parsed.jws.header.kid]);
  if (key === undefined) throw new Refused('key', 'no such key is registered');
  await requireSignature(parsed, key);
  const reliableClock = key.clock !== 'unreliable';
  if (key.meter !== clientId) throw new Refused('subject', `a key of ${key.meter}`);
  checkConnect(parsed.connect, { audience, meter: key.meter, nowS, reliableClock });
  requireUsable(key, nowS);
  await useJti(pool, parsed.connect, { keyId: key.key_id, nowS });
  return { meter: key.meter, plant: key.plant };
}

/**
 * The handshake has shown that the client holds the private key of its certificate. The register says
 * which meter that is; what the certificate says of its subject is nobody's word.
 */
async function byCertificate(
  pool: Pool,
  { certificate, clientId }: { certificate: ShownCertificate; clientId: string },
  nowS: number,
): Promise<Access> {
  const { validFromS, validToS } = certificate;
  // Not `nowS < … || …`: a date that cannot be read is valid never.
  if (!(validFromS <= nowS && nowS <= validToS)) {
    throw new Refused('certificate', 'the certificate is not valid now');
  }
  const [key] = await pool.rows<KeyRow>(keySql, [certificate.key.kid]);
  if (key === undefined) throw new Refused('key', 'no such key is registered');
  requireOwnFormat(key);
  if (key.meter !== clientId) throw new Refused('subject', `a key of ${key.meter}`);
  requireUsable(key, nowS);
  return { meter: key.meter, plant: key.plant };
}

function requireUsable({ last_t, late_after_s }: KeyRow, nowS: number): void {
  if (last_t !== null && nowS > last_t + late_after_s) {
    throw new Refused('key', 'the key has ended');
  }
}

function requireOwnFormat({ is_ocmf }: KeyRow): void {
  if (!is_ocmf) return;
  const way = 'its records come by an external broker or by Kafka';
  throw new Refused('alg', `a key that signs records in OCMF lets nobody in here: ${way}`);
}

async function requireSignature({ jws }: ParsedConnect, row: KeyRow): Promise<void> {
  requireOwnFormat(row);
  const key = parsePublicJwk(row.jwk);
  const alg = jws.header.alg === 'EdDSA' ? 'Ed25519' : jws.header.alg;
  if (alg !== key.alg) throw new Refused('alg', `the key is ${key.alg}`);
  if (!(await verifierOf(key)(jws.signingInput, jws.signature))) {
    throw new Refused('signature', 'the signature does not fit');
  }
}

async function useJti(
  pool: Pool,
  connect: Connect,
  { keyId, nowS }: { readonly keyId: number; readonly nowS: number },
): Promise<void> {
  if (connect.jti === undefined) return;
  await pool.run(sweepJtiSql, [nowS]);
  const values = [keyId, connect.jti, connectExpiryS(connect), nowS];
  if ((await pool.run(useJtiSql, values)) !== 1) {
    throw new Refused('jti', 'this jti was used before, or there are too many');
  }
}
