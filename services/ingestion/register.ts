import { setTimeout } from 'node:timers/promises';
import { Failed } from '#core/errors.ts';
import { messagesTopic } from '#core/energy/message.ts';
import { ocmfShape } from '#core/energy/ocmf.ts';
import { parseMeterJwk, type PublicKey } from '#core/keys.ts';
import { integer, origin } from '#core/shape.ts';
import type { Pool } from '#platform/postgres.ts';
import type { VerifyAsync } from '#platform/verify.ts';
import type { KeyFacts, LogFacts } from './decide.ts';
import { parseNamedKeys, type NamedKeys } from './receipt-key.ts';

export interface RegisteredKey extends KeyFacts {
  readonly verify: VerifyAsync;
}

/**
 * The register as this process knows it. It follows the database by asking what has changed: at most
 * every `refreshEveryMs`, and at once when somebody asks for a key it does not know, but no more
 * often than `looksPerSecond`, so that nonsense cannot keep the database busy.
 */
export interface Register {
  readonly log: () => LogFacts;
  /** The keys of receipts, oldest first; none before the log has a genesis. */
  readonly receiptKeys: () => NamedKeys;
  /** What is known now, without waiting. */
  readonly key: (kid: string) => RegisteredKey | undefined;
  /** The newest key of the meter that a topic belongs to: whose receipts its device reads. */
  readonly keyOfTopic: (topic: string) => RegisteredKey | undefined;
  /** The newest key of that device at the meter of a topic, which signs OCMF records. */
  readonly ocmfKey: (topic: string, serial: string) => RegisteredKey | undefined;
  /** Looks if it is time to. Rejects with Failed when the database cannot be asked. */
  readonly refresh: () => Promise<void>;
  /** A look that begins after this call, because a key is unknown; it may have to wait its turn. */
  readonly seek: () => Promise<void>;
}

export interface RegisterLimits {
  readonly refreshEveryMs: number;
  readonly looksPerSecond: number;
}

const settingSql = `select origin, rules, ingestion_keys from log_setting`;
const pageRows = 10_000;
const changedSql = `
  select k.key_id, k.kid, k.jwk, k.ocmf, k.not_before, k.last_seq,
         least(k.last_t, m.ends_at) as last_t, k.version,
         m.meter_id, m.meter, p.plant_id, p.plant
    from meter_key k join meter m using (meter_id) join plant p using (plant_id)
   where (k.version, k.key_id) > ($1, $2)
   order by k.version, k.key_id limit ${pageRows}`;

interface KeyRow {
  readonly key_id: number;
  readonly kid: string;
  readonly jwk: unknown;
  readonly ocmf: unknown;
  readonly not_before: number;
  readonly last_seq: number | null;
  readonly last_t: number | null;
  readonly version: number;
  readonly meter_id: number;
  readonly meter: string;
  readonly plant_id: number;
  readonly plant: string;
}

/** Keys are parsed when first used: a register of a million meters is mostly silent. */
interface Entry {
  readonly row: KeyRow;
  facts?: RegisteredKey;
}

type VerifierOf = (key: PublicKey) => VerifyAsync;

export function createRegister(
  pool: Pool,
  limits: RegisterLimits,
  verifierOf: VerifierOf,
): Register {
  const keys = new Map<string, Entry>();
  const newest = new Map<string, KeyRow>();
  const newestOcmf = new Map<string, KeyRow>();
  let setting: Setting | undefined;
  let mark = { version: -1, keyId: 0 };
  let begunMs = Number.NEGATIVE_INFINITY;
  /** Looks do not overlap; the last one in line has not begun. */
  let line: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;

  const look = async (): Promise<void> => {
    begunMs = performance.now();
    setting = await readSetting(pool);
    for (;;) {
      const rows = await pool.rows<KeyRow>(changedSql, [mark.version, mark.keyId]);
      for (const row of rows) {
        keys.set(row.kid, { row });
        const topic = messagesTopic(row.plant, row.meter);
        keepNewest(newest, topic, row);
        if (row.ocmf !== null) keepNewest(newestOcmf, ocmfName(topic, serialOf(row)), row);
        mark = { version: row.version, keyId: row.key_id };
      }
      if (rows.length < pageRows) break;
    }
  };
  const seek = (): Promise<void> => {
    waiting ??= (async () => {
      await line.catch(ignore);
      await setTimeout(Math.max(0, begunMs + 1000 / limits.looksPerSecond - performance.now()));
      waiting = undefined;
      await (line = look());
    })();
    return waiting;
  };
  const key = (kid: string): RegisteredKey | undefined => {
    const entry = keys.get(kid);
    return entry === undefined ? undefined : (entry.facts ??= factsOf(entry.row, verifierOf));
  };
  return {
    log: () => {
      if (setting === undefined) throw new Failed('not-ready', 'the log has no genesis yet');
      return setting.log;
    },
    receiptKeys: () => setting?.receiptKeys ?? [],
    key,
    keyOfTopic: (topic) => {
      const row = newest.get(topic);
      return row === undefined ? undefined : key(row.kid);
    },
    ocmfKey: (topic, serial) => {
      const row = newestOcmf.get(ocmfName(topic, serial));
      return row === undefined ? undefined : key(row.kid);
    },
    refresh: async () => {
      if (setting !== undefined && performance.now() - begunMs < limits.refreshEveryMs) return;
      await seek();
    },
    seek,
  };
}

function keepNewest(rows: Map<string, KeyRow>, name: string, row: KeyRow): void {
  const known = rows.get(name);
  if (known === undefined || known.not_before <= row.not_before) rows.set(name, row);
}

/** Neither a topic nor a serial number has a space. */
function ocmfName(topic: string, serial: string): string {
  return `${topic} ${serial}`;
}

function serialOf({ ocmf }: KeyRow): string {
  return ocmfShape.parse(ocmf, 'meter_key.ocmf').serial;
}

function ignore(): void {
  // Whoever asked for that look was told; the next one asks for itself.
}

const seconds = integer(0);

interface Setting {
  readonly log: LogFacts;
  readonly receiptKeys: NamedKeys;
}

async function readSetting(pool: Pool): Promise<Setting | undefined> {
  const [row] = await pool.rows<{
    origin: string;
    rules: Readonly<Record<string, unknown>>;
    ingestion_keys: unknown;
  }>(settingSql);
  if (row === undefined) return undefined;
  const log = {
    origin: origin.parse(row.origin, 'log_setting.origin'),
    lateAfterS: seconds.parse(row.rules.lateAfterS, 'rules.lateAfterS'),
    futureS: seconds.parse(row.rules.futureS, 'rules.futureS'),
  };
  return { log, receiptKeys: parseNamedKeys(row.ingestion_keys) };
}

function factsOf(row: KeyRow, verifierOf: VerifierOf): RegisteredKey {
  const publicKey = parseMeterJwk(row.jwk);
  return {
    keyId: row.key_id,
    publicKey,
    verify: verifierOf(publicKey),
    meterId: row.meter_id,
    meter: row.meter,
    plantId: row.plant_id,
    plant: row.plant,
    topic: messagesTopic(row.plant, row.meter),
    notBefore: row.not_before,
    lastSeq: row.last_seq ?? undefined,
    lastT: row.last_t ?? undefined,
    ocmf: row.ocmf === null ? undefined : ocmfShape.parse(row.ocmf, 'meter_key.ocmf'),
  };
}
