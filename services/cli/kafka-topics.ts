import { Refused } from '#core/errors.ts';
import { readKafkaConfig } from '#platform/kafka/config.ts';
import { makeTopics, readTopics } from '#platform/kafka/topics.ts';
import { createLogger } from '#platform/logger.ts';
import type { Terminal } from '#platform/terminal.ts';

const mostReplicas = 32;

/** `hourseal kafka topics`: says which topics are new. Refused without KAFKA_BROKERS. */
export async function createKafkaTopics(
  {
    replicas,
    file,
    environment,
  }: {
    readonly replicas: number;
    readonly file: string | undefined;
    readonly environment: Readonly<Record<string, string | undefined>>;
  },
  to: Terminal,
): Promise<void> {
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > mostReplicas) {
    throw new Refused('usage', `--replicas: not a number from 1 to ${mostReplicas}`);
  }
  const config = await readKafkaConfig(environment);
  if (config === undefined) throw new Refused('config', 'KAFKA_BROKERS must be set');
  const { connection, topicPrefix: prefix } = config;
  const logger = createLogger({ name: 'kafka', level: 'error' });
  const topics = await readTopics(file);
  const made = await makeTopics({ connection, logger }, topics, { prefix, replicas });
  for (const topic of made) to.out(`created ${topic}\n`);
  if (made.length === 0) to.out(`all ${topics.topics.length} topics are there\n`);
}
