/** Reading ahead of whoever judges in order, within bounds. */

/**
 * The outcomes of `begin`, in the order of the items, of which `depth` are begun beyond the one that is
 * waited for. Throws what the first of them in this order rejects with; whoever stops earlier is not told
 * of the failures of what was begun.
 */
export async function* readAhead<Item, Outcome>(
  items: Iterable<Item>,
  depth: number,
  begin: (item: Item) => Promise<Outcome>,
): AsyncGenerator<Outcome, undefined> {
  const begun: Promise<Outcome>[] = [];
  const rest = items[Symbol.iterator]();
  const beginNext = (): void => {
    const next = rest.next();
    if (next.done === true) return;
    const outcome = begin(next.value);
    // A later round awaits it; after a stop nobody does, and its failure means nothing any more.
    outcome.catch(() => undefined);
    begun.push(outcome);
  };
  for (let i = 0; i < depth; i++) beginNext();
  for (;;) {
    beginNext();
    const first = begun.shift();
    if (first === undefined) return undefined;
    yield await first;
  }
}

/**
 * The outcomes of `work` in the order of the items, at most `limit` under way at a time. Once one has
 * rejected nothing more is begun, and of those that did the first in this order is thrown.
 */
export async function mapBounded<Item, Outcome>(
  items: readonly Item[],
  limit: number,
  work: (item: Item, place: number) => Promise<Outcome>,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const failures = new Map<number, unknown>();
  const rest = items.entries();
  const turns = async (): Promise<void> => {
    for (const [place, item] of rest) {
      try {
        outcomes[place] = await work(item, place);
      } catch (error) {
        failures.set(place, error);
      }
      if (failures.size > 0) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, turns));
  if (failures.size > 0) throw failures.get(Math.min(...failures.keys()));
  return outcomes;
}
