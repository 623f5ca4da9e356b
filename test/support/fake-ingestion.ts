import { createBroker } from '#broker/service.ts';
import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { parseMessage, receiptsTopic } from '#core/energy/message.ts';
import { buildReceipt, emptyChain, extendChain, type SeqRange } from '#core/energy/receipt.ts';
import { Failed, Refused } from '#core/errors.ts';
import { verifyJws } from '#core/jws.ts';
import type { PublicKey } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { systemClock } from '#platform/clock.ts';
import type { Intake } from '#platform/intake.ts';
import { createLogger } from '#platform/logger.ts';
import { createPool, type Pool } from '#platform/postgres.ts';

/**
 * What the fake does with one publication: keeps it and says so; acknowledges and loses it; does not
 * acknowledge it; ends the connection before or after keeping it; keeps it without a receipt.
 */
export type Verdict = 'take' | 'drop' | 'hold' | 'kill-before' | 'kill-after' | 'take-silently';

export interface FakeIngestion {
  readonly url: string;
  readonly port: number;
  /** Every publication that was taken, in order of arrival. */
  readonly arrived: readonly string[];
  /** The messages kept, by `seq`: the first of each number. */
  readonly kept: ReadonlyMap<number, string>;
  /** Consulted for every publication; the number counts from 1. */
  verdict: (count: number) => Verdict;
  /** Codes for messages that are to be refused, by `seq`. */
  readonly refuse: Map<number, string>;
  readonly sendReceipt: (receipt: string) => Promise<void>;
  /** How often somebody connected. */
  readonly connects: () => number;
  readonly close: () => Promise<void>;
}

export interface FakeIngestionOptions {
  readonly plant: string;
  readonly meter: string;
  readonly meterKey: PublicKey;
  /** Signs the receipts. */
  readonly ingestion: Signer;
  readonly nowS?: () => number;
  readonly port?: number;
}

/**
 * The real broker with the least of an ingestion behind it, for one meter: it checks signatures, keeps
 * messages before they are acknowledged, and answers with receipts.
 */
export async function startFakeIngestion(options: FakeIngestionOptions): Promise<FakeIngestion> {
  const { ingestion, meter, meterKey, plant } = options;
  const nowS = options.nowS ?? systemClock.nowS;
  const database = onlyMeter(options);
  const desk = createDesk(meterKey, ingestion);
  let count = 0;

  const intake: Intake = async ({ bytes }) => {
    count++;
    const verdict = fake.verdict(count);
    if (verdict === 'drop') return;
    if (verdict === 'hold') await new Promise(() => undefined);
    if (verdict === 'kill-before') throw new Failed('database', 'the database is away');
    desk.take(bytes, fake.refuse);
    if (verdict === 'kill-after') throw new Failed('database', 'the answer was lost');
    if (verdict === 'take') void sendReceipt(desk.receipt());
  };
  const broker = createBroker({
    listen: { host: '127.0.0.1', port: options.port ?? 0 },
    audience: 'broker.example',
    clock: { ...systemClock, nowS },
    database: database.pool,
    intake,
    logger: createLogger({ name: 'test', level: 'silent' }),
  });
  const sendReceipt = (receipt: string): Promise<void> =>
    broker.publish(receiptsTopic(plant, meter), utf8(receipt));
  await broker.start();
  const port = broker.port();
  const fake: FakeIngestion = {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    arrived: desk.arrived,
    kept: desk.kept,
    verdict: () => 'take',
    refuse: new Map(),
    sendReceipt,
    connects: database.asked,
    close: broker.stop,
  };
  return fake;
}

/** A database in which the broker finds one key, whatever it asks. */
function onlyMeter({ meter, meterKey, plant }: FakeIngestionOptions): {
  readonly pool: Pool;
  readonly asked: () => number;
} {
  let asked = 0;
  const row = { key_id: 1, jwk: meterKey.jwk, last_t: null, meter, plant, clock: 'reliable' };
  const text = JSON.stringify([{ ...row, late_after_s: 45 * 86400 }]);
  const pool: Pool = {
    ...createPool('postgres://nobody@127.0.0.1:1/none'),
    rows: async <Row extends object>() => {
      asked++;
      return JSON.parse(text) as Row[];
    },
  };
  return { pool, asked: () => asked };
}

interface Desk {
  readonly arrived: string[];
  readonly kept: Map<number, string>;
  readonly take: (bytes: Uint8Array, refuse: ReadonlyMap<number, string>) => void;
  readonly receipt: () => string;
}

function createDesk(meterKey: PublicKey, ingestion: Signer): Desk {
  const arrived: string[] = [];
  const kept = new Map<number, string>();
  const hashes = new Map<number, Uint8Array>();
  const refused: { code: string; hash: string }[] = [];
  return {
    arrived,
    kept,
    take(bytes, refuse) {
      const text = decodeUtf8(bytes);
      arrived.push(text);
      const { hash, jws, message } = parseMessage(bytes);
      const code = refuse.get(message.seq) ?? signatureCode(() => verifyJws(jws, meterKey));
      if (code !== undefined) refused.push({ code, hash: toHex(sha256(bytes)) });
      if (code !== undefined || kept.has(message.seq)) return;
      kept.set(message.seq, text);
      hashes.set(message.seq, hash);
    },
    receipt() {
      let chain: Uint8Array = emptyChain;
      let throughSeq = 0;
      for (let hash = hashes.get(1); hash !== undefined; hash = hashes.get(throughSeq + 1)) {
        chain = extendChain(chain, hash);
        throughSeq++;
      }
      const missing: SeqRange[] = [];
      for (let seq = throughSeq + 1; seq < Math.max(0, ...hashes.keys()); seq++) {
        if (!hashes.has(seq)) missing.push({ from: seq, to: seq });
      }
      const { kid } = meterKey;
      return buildReceipt(ingestion, { chain: toHex(chain), kid, missing, refused, throughSeq });
    },
  };
}

function signatureCode(verify: () => void): string | undefined {
  try {
    verify();
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}
