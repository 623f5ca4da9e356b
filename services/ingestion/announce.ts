import { toHex } from '#core/bytes.ts';
import { parseMessagesTopic } from '#core/energy/message.ts';
import { sha256 } from '#crypto';
import { announce, type BareNews } from '#platform/news.ts';
import type { Sql } from '#platform/postgres.ts';
import type { Astray, BatchPlan, Progress } from './plan.ts';

/** What a batch tells the others: one row a topic. The ledger does not wait for it. */
export async function announceBatch(
  sql: Sql,
  { plan, astray }: { readonly plan: BatchPlan; readonly astray: readonly Astray[] },
  nowS: number,
): Promise<void> {
  await announce(sql, 'messages.accepted', { news: acceptedNews(plan), nowS });
  await announce(sql, 'messages.quarantined', { news: quarantinedNews(plan, astray), nowS });
}

/** By plant: its hours that have something new, and how far its meters have come. */
function acceptedNews({ progress, dirty }: BatchPlan): BareNews<'messages.accepted'>[] {
  const plants = new Map<string, AcceptedMeter[]>();
  const plantIds = new Map<string, number>();
  for (const { key, head, outcomes } of progress) {
    const messages = countAccepted(outcomes);
    if (messages === 0) continue;
    const { meter } = key;
    const { throughSeq, maxSeq } = head;
    const meters = plants.get(key.plant) ?? [];
    meters.push({ kid: key.publicKey.kid, maxSeq, messages, meter, throughSeq });
    plants.set(key.plant, meters);
    plantIds.set(key.plant, key.plantId);
  }
  return [...plants].map(([plant, meters]) => ({
    hours: [...(dirty.get(plantIds.get(plant) ?? 0) ?? [])].sort((a, b) => a - b),
    meters,
    plant,
  }));
}

type AcceptedMeter = BareNews<'messages.accepted'>['meters'][number];

function countAccepted(outcomes: Progress['outcomes']): number {
  let messages = 0;
  for (const { placed } of outcomes) {
    if (placed.outcome === 'stored' && placed.code === undefined) messages++;
  }
  return messages;
}

interface Refusals {
  readonly plant: string | undefined;
  readonly meter: string | undefined;
  readonly code: string;
  messages: number;
  readonly hashes: string[];
}

/** Of each group the hashes of the first ones; the database has them all, or what it keeps of them. */
const hashesLimit = 16;

/** By plant, meter and reason: what was stored under a code, and what took no seq (D4.1). */
function quarantinedNews(
  { stored }: BatchPlan,
  astray: readonly Astray[],
): BareNews<'messages.quarantined'>[] {
  const groups = new Map<string, Refusals>();
  const add = (of: Pick<Refusals, 'plant' | 'meter' | 'code'>, hash: () => string): void => {
    const name = `${of.plant ?? ''} ${of.meter ?? ''} ${of.code}`;
    const group = groups.get(name) ?? { ...of, messages: 0, hashes: [] };
    group.messages++;
    if (group.hashes.length < hashesLimit) group.hashes.push(hash());
    groups.set(name, group);
  };
  for (const { kept, code } of stored) {
    const { plant, meter } = kept.key;
    if (code !== undefined) add({ plant, meter, code }, () => toHex(sha256(kept.arrival.bytes)));
  }
  for (const { arrival, code, hash } of astray) {
    const named = parseMessagesTopic(arrival.topic);
    add({ plant: named?.plant, meter: named?.meter, code }, () => toHex(hash));
  }
  return [...groups.values()].map(({ plant, meter, code, messages, hashes }) => ({
    code,
    hashes,
    messages,
    ...(meter !== undefined && { meter }),
    ...(plant !== undefined && { plant }),
  }));
}
