import type { Command } from 'commander';
import { exitCodes, type Terminal } from '#platform/terminal.ts';

type Done = (code: number) => void;

/** What an operator does once with a Kafka cluster. */
export function addKafka(program: Command, to: Terminal, done: Done): void {
  const kafka = program.command('kafka').description('topics of an Apache Kafka cluster');
  kafka
    .command('topics')
    .description('create the topics of infra/kafka/topics.json that are missing (KAFKA_BROKERS …)')
    .option('--replicas <n>', 'copies of each partition', Number, 3)
    .option('--file <file>', 'other topics, in the same form')
    .action(async ({ replicas, file }: { replicas: number; file?: string }) => {
      const { createKafkaTopics } = await import('./kafka-topics.ts');
      await createKafkaTopics({ replicas, file, environment: process.env }, to);
      done(exitCodes.verified);
    });
}
