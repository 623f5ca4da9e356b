import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { expandRow, newsShapes, newsTopics, omittedNews } from '#platform/news.ts';
import { readTopics } from '#platform/kafka/topics.ts';

const page = readFileSync('infra/kafka/README.md', 'utf8');

/** The first example below the heading that names a topic. */
function exampleOf(topic: string): unknown {
  const from = page.search(new RegExp(`^### .*\`${topic.replace('.', '[.]')}\``, 'm'));
  const [, json] = /```json\n([^`]*)```/.exec(page.slice(from)) ?? [];
  if (from < 0 || json === undefined) throw new Error(`no example of ${topic}`);
  return JSON.parse(json);
}

const decode = (value: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(value));

describe('the page about Kafka', () => {
  it.each(newsTopics)('has an example of %s that its shape takes', (topic) => {
    const example = exampleOf(topic);
    expect(newsShapes[topic].parse(example)).toBe(example);
    expect(example).toHaveProperty('plant');
  });

  it('has an example of what is omitted', () => {
    const [, json = ''] = /too large\n\n```json\n([^`]*)```/.exec(page) ?? [];
    for (const topic of newsTopics) newsShapes[topic].parse(JSON.parse(json));
  });

  it('speaks of the topics that topics.json creates, and of no others', async () => {
    const { topics } = await readTopics();
    const names = topics.map(({ name }) => name).sort();
    expect(names).toEqual([...newsTopics, 'messages.in'].sort());
    for (const name of names) expect(page).toContain(`\`${name}\``);
  });
});

describe('a row of the outbox', () => {
  it('becomes one record for each piece of news, keyed by plant, with its place', () => {
    const news = [{ plant: 'A', n: 1 }, { n: 2 }];
    const records = expandRow({ id: 7, time: 9, news });
    expect(records.map(({ key, value }) => ({ key, value: decode(value) }))).toEqual([
      { key: 'A', value: { plant: 'A', n: 1, id: 7, part: 0, time: 9, v: 1 } },
      { key: '', value: { n: 2, id: 7, part: 1, time: 9, v: 1 } },
    ]);
  });

  it.each([null, 7, 'text', true, { plant: 4 }])('that holds %j goes out all the same', (news) => {
    const [record, ...others] = expandRow({ id: 1, time: 1, news });
    expect(others).toEqual([]);
    expect(record?.key).toBe('');
    expect(decode(record?.value ?? new Uint8Array())).toMatchObject({ id: 1, part: 0 });
  });

  it('cannot pass for another place by what it holds', () => {
    const [record] = expandRow({ id: 1, time: 1, news: [{ id: 5, part: 5, v: 5, time: 5 }] });
    expect(decode(record?.value ?? new Uint8Array())).toEqual({ id: 1, part: 0, time: 1, v: 1 });
  });

  it('is stood for by its place and size where it is too large', () => {
    const value = decode(omittedNews({ id: 3, time: 4 }, { part: 2, bytes: 5 }));
    expect(newsShapes.certificates.parse(value)).toEqual({
      ...{ id: 3, part: 2, time: 4, v: 1 },
      omittedBytes: 5,
    });
  });
});
