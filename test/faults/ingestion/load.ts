import { setTimeout as sleep } from 'node:timers/promises';
import { utf8 } from '#core/bytes.ts';
import { Failed } from '#core/errors.ts';
import type { PublicKey } from '#core/keys.ts';
import { systemClock } from '#platform/clock.ts';
import { connectProducer } from '#platform/kafka/client.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Device } from '../../integration/ingestion/rig.ts';
import type { Space } from '../../integration/kafka/rig.ts';
import { gatewayOf, type Promised } from '../../integration/ingestion/gateways.ts';

export interface LoadOptions {
  /** Meters that publish to the broker, and those whose messages come by Kafka. */
  readonly gateways: readonly Device[];
  readonly publishers: readonly Device[];
  readonly url: string;
  readonly receipts: PublicKey;
  readonly pool: Pool;
  readonly space: Space;
  readonly answerTimeoutMs?: number;
  /** Between two messages of one meter. */
  readonly readingEveryMs: number;
}

export interface Load {
  readonly promised: readonly Promised[];
  /** Makes readings from now on. */
  readonly resume: () => void;
  /** Makes no more, and resolves when all that were made are receipted or stored. */
  readonly settled: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** How long it may take until everything has arrived again: longer than any time limit of the product. */
const settleLimitMs = 300_000;
/** A reading for every message, a second apart: so many of them lie in the past. */
const pastS = 200_000;
const askEveryMs = 50;

/** A part of the load: what makes one message, and whether it has all arrived. */
interface Lane extends Promised {
  readonly make: () => Promise<void>;
  readonly settled: (signal: AbortSignal) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export async function startLoad(options: LoadOptions): Promise<Load> {
  const lanes = [
    ...(await Promise.all(options.gateways.map((device) => startGateway(device, options)))),
    ...(await startPublishers(options)),
  ];
  const stopping = new AbortController();
  let running: Promise<void>[] = [];
  let making = false;
  const run = async (lane: Lane): Promise<void> => {
    while (making && !stopping.signal.aborted) {
      await lane.make();
      await sleep(options.readingEveryMs);
    }
  };
  const pause = async (): Promise<void> => {
    making = false;
    await Promise.all(running);
  };
  return {
    promised: lanes,
    resume: () => {
      making = true;
      running = lanes.map(run);
    },
    settled: async () => {
      await pause();
      const limit = AbortSignal.timeout(settleLimitMs);
      await Promise.all(lanes.map((lane) => lane.settled(limit)));
    },
    stop: async () => {
      stopping.abort();
      await pause();
      await Promise.all(lanes.map((lane) => lane.stop()));
    },
  };
}

async function startGateway(device: Device, options: LoadOptions): Promise<Lane> {
  const gateway = await gatewayOf(device, options.url, options);
  const from = systemClock.nowS() - pastS;
  let made = 0;
  gateway.start();
  return {
    device,
    signed: gateway.signed,
    promised: gateway.promised,
    make: async () => {
      made++;
      await gateway.record([{ t: from + made, registers: { exportWh: made } }]);
    },
    settled: (signal) => gateway.settled('receipted', signal),
    stop: gateway.stop,
  };
}

/** Plain publishers: one connection to Kafka, which is asked again until it has acknowledged. */
async function startPublishers({ publishers, pool, space }: LoadOptions): Promise<Lane[]> {
  const stopping = new AbortController();
  let producer: ReturnType<typeof connectProducer> | undefined;
  const topic = `${space.prefix}messages.in`;
  const send = async (key: string, value: Uint8Array): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await (await (producer ??= connectProducer(space.context))).send(topic, [{ key, value }]);
        return;
      } catch (error) {
        // Kafka was killed, which is what this is about.
        if (!(error instanceof Failed)) throw error;
        const broken = producer;
        producer = undefined;
        await (await broken?.catch(() => undefined))?.close();
        await sleep(askEveryMs);
      }
    }
  };
  const from = systemClock.nowS() - pastS;
  return publishers.map((device, i) => {
    const signed = new Map<number, Uint8Array>();
    const acknowledged = new Set<number>();
    return {
      device,
      signed,
      promised: () => ({ acknowledged, throughSeq: 0, disconnections: 0, faults: [] }),
      make: async () => {
        const seq = signed.size + 1;
        const jws = utf8(device.message(seq, from + seq));
        signed.set(seq, jws);
        await send(device.of.meter, jws);
        acknowledged.add(seq);
      },
      settled: async (signal) => {
        while ((await throughSeqOf(pool, device.keyId)) < signed.size) {
          await sleep(askEveryMs, undefined, { signal });
        }
      },
      stop: async () => {
        stopping.abort();
        if (i === 0) await (await producer?.catch(() => undefined))?.close();
      },
    };
  });
}

const throughSeqSql = `select through_seq from key_progress where key_id = $1`;

/** The database may be down for the moment. */
async function throughSeqOf(pool: Pool, keyId: number): Promise<number> {
  try {
    const [row] = await pool.rows<{ through_seq: number }>(throughSeqSql, [keyId]);
    return row?.through_seq ?? 0;
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    return 0;
  }
}
