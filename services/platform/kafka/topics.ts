import { readFile } from 'node:fs/promises';
import { Refused } from '#core/errors.ts';
import { array, integer, object, oneOf, pattern, record, type Infer } from '#core/shape.ts';
import { createTopics, type KafkaContext } from './client.ts';

const value = pattern('[!-~]{1,200}');
const topicsShape = object({
  topics: array(
    object({
      config: record(pattern('[a-z.]{1,64}'), value, { min: 0, max: 32 }),
      name: pattern('[a-z][a-z.-]{0,63}'),
      partitions: integer(1, 10_000),
    }),
    { min: 1, max: 64 },
  ),
  version: oneOf(1),
});

/** The topics of Hourseal, without the prefix: what infra/kafka/topics.json says. */
export type TopicsFile = Infer<typeof topicsShape>;

/** Where the file is that the project comes with. */
export const topicsFile = new URL('../../../infra/kafka/topics.json', import.meta.url);

/** Refused('topics-file') when it is not one. */
export async function readTopics(file: string | URL = topicsFile): Promise<TopicsFile> {
  try {
    return topicsShape.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Refused('topics-file', `${String(file)}: ${why}`, { cause });
  }
}

/**
 * Creates those that are missing, with as many replicas; the others stay as they are. Resolves to the
 * full names of the new ones.
 */
export async function makeTopics(
  context: KafkaContext,
  { topics }: TopicsFile,
  { prefix, replicas }: { readonly prefix: string; readonly replicas: number },
): Promise<string[]> {
  const wanted = topics.map(({ name, partitions, config }) => ({
    topic: prefix + name,
    partitions,
    replicas,
    config,
  }));
  return createTopics(context, wanted);
}
