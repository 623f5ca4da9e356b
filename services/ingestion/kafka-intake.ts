import { messageLimitBytes, messagesTopic, parseMessagesTopic } from '#core/energy/message.ts';
import { sha256 } from '#crypto';
import { Failed, Fatal } from '#core/errors.ts';
import type { Clock } from '#platform/clock.ts';
import type { Intake } from '#platform/intake.ts';
import type { IncomingRecord } from '#platform/kafka/records.ts';
import type { KafkaConsumerContext } from '#platform/kafka/consumer.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { quarantine, type QuarantineLimits } from './quarantine.ts';
import { createMeterBook, type MeterBook } from './meter-book.ts';

export interface KafkaIntakeContext {
  readonly intake: Intake;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: QuarantineLimits;
}

/** The header that may name the MQTT topic that a message was published on. */
const topicHeader = 'topic';
/**
 * Whoever is not known shares one name: a made-up key must neither escape a quota nor fill the
 * quarantine, which is bounded by sender.
 */
const unknownSender = 'kafka';
/** What the batcher refuses for a reason of its own is asked again so often before it is put aside. */
const attemptsLimit = 3;

const ascii = new TextDecoder('latin1');

/**
 * What to do with a record of `messages.in`: the value is a JWS as it came from the meter. Where it
 * belongs, the header `topic` says, or the key: `plant/meter`, or the meter alone. Resolves when its
 * outcome is committed, however bad it is; Failed when it must come again.
 */
export function kafkaIntake(context: KafkaIntakeContext): KafkaConsumerContext['take'] {
  const { intake, clock, logger } = context;
  const meters = createMeterBook(context.pool);
  return async (record, { partition }) => {
    const arrival = {
      ...(await addressOf(record, meters)),
      bytes: takenBytes(record),
      receivedAt: clock.nowS(),
    };
    for (let attempt = 1; ; attempt++) {
      try {
        await intake(arrival);
        return;
      } catch (error) {
        // The process is in no state to judge anything any more.
        if (error instanceof Failed || error instanceof Fatal) throw error;
        if (attempt < attemptsLimit) continue;
        const at = { partition, offset: String(record.offset), key: textOf(record.key) };
        logger.error({ err: error, ...at }, 'a message cannot be stored and is put aside');
        await putAside(context, arrival);
        return;
      }
    }
  };
}

async function addressOf(
  { key, headers }: IncomingRecord,
  meters: MeterBook,
): Promise<{ readonly topic: string; readonly sender: string }> {
  const stated = textOf(headers.get(topicHeader));
  const name = textOf(key);
  const [plant, meter, ...rest] = name.split('/');
  const named =
    stated !== ''
      ? parseMessagesTopic(stated)
      : rest.length === 0 && plant !== undefined && meter !== undefined
        ? parseMessagesTopic(messagesTopic(plant, meter))
        : undefined;
  const meterId = named?.meter ?? name;
  const owner = await meters.plantOf(meterId);
  const place = named ?? (owner === undefined ? undefined : { plant: owner, meter: meterId });
  const topic = place === undefined ? stated : messagesTopic(place.plant, place.meter);
  const isKnown = owner !== undefined && owner === place?.plant;
  return { topic, sender: isKnown ? `${unknownSender} ${topic}` : unknownSender };
}

/** What is longer than any message is cut where its size alone refuses it. */
function takenBytes({ value }: IncomingRecord): Uint8Array {
  return value?.subarray(0, messageLimitBytes + 1) ?? new Uint8Array();
}

const nameLimitBytes = 200;

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : ascii.decode(bytes.subarray(0, nameLimitBytes));
}

/** The partition goes on; what came is kept as evidence of what went wrong with it. */
async function putAside(
  { pool, clock, limits }: KafkaIntakeContext,
  arrival: Parameters<Intake>[0],
): Promise<void> {
  await quarantine(
    pool,
    [
      {
        kind: 'astray',
        arrival,
        code: 'form',
        detail: 'the database cannot take it; see the log',
        signed: false,
        hash: sha256(arrival.bytes),
        kid: undefined,
        seq: undefined,
        tell: undefined,
      },
    ],
    { limits, nowS: clock.nowS() },
  );
}
