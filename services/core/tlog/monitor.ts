import { isSameState, type Boundary, type SignedState } from './equivocation.ts';
import { freshStates, isAmong, memoryLimits, pairOf } from './monitored-states.ts';
import type { Memory, Pair, RelatedPair, Relation, Seen } from './monitored-states.ts';
import { quorumMet, type Policy } from './policy.ts';

/** What a monitor concludes from a round: a function of what it remembers, saw and compared. */
export interface Conclusion {
  readonly memory: Memory;
  /** Two signed states that cannot both be true. */
  readonly contradictions: readonly (Pair & { readonly boundary: Boundary | undefined })[];
  /** What is not as it should be, without being proof of anything; a sentence without its end. */
  readonly alarms: readonly string[];
  readonly notes: readonly string[];
}

/** What a round says; `relations` are those of `pairsToCompare`, all of them. */
export function concludeRound(
  memory: Memory,
  round: Seen & { readonly policy: Policy; readonly relations: readonly RelatedPair[] },
): Conclusion {
  const { shown, relations, policy, cosigned } = round;
  const before = memory.head;
  const hasQuorum = shown !== undefined && isCosigned(shown, policy);
  const isNext =
    hasQuorum &&
    (before === undefined ||
      (shown.size > before.size && consistentWith(relations, before, shown)));
  const head = isNext ? shown : before;
  const open = openAfter(memory, { head, round });
  const next: Memory = {
    head,
    past: isNext && before !== undefined ? thinned([...memory.past, before]) : memory.past,
    open: open.slice(0, memoryLimits.open),
    witnesses: { ...memory.witnesses, ...largestShown(memory, cosigned) },
  };
  const lost = open.length - next.open.length;
  return {
    memory: next,
    contradictions: relations.flatMap(({ smaller, larger, relation }) =>
      relation.result === 'contradiction' ? [{ smaller, larger, boundary: relation.boundary }] : [],
    ),
    alarms: [
      ...shownAlarms(memory, { shown, hasQuorum, relations }),
      ...witnessAlarms(memory, { shown: shown ?? head, cosigned }),
      ...openAlarms(next, { shown, cosigned, relations }),
      ...(lost > 0
        ? [`${lost} signed states more than are remembered have not been compared`]
        : []),
    ],
    notes: isNext ? [progressNote(before, shown)] : [],
  };
}

function isCosigned({ signers }: SignedState, policy: Policy): boolean {
  return quorumMet(policy, ({ key }) => signers.includes(key));
}

function relationBetween(
  relations: readonly RelatedPair[],
  a: SignedState,
  b: SignedState,
): Relation | undefined {
  const { smaller, larger } = pairOf(a, b);
  return relations.find(
    (one) => isSameState(one.smaller, smaller) && isSameState(one.larger, larger),
  )?.relation;
}

function consistentWith(
  relations: readonly RelatedPair[],
  a: SignedState,
  b: SignedState,
): boolean {
  return isSameState(a, b) || relationBetween(relations, a, b)?.result === 'consistent';
}

/** What is not known to be a part of the head's history, or of that of another open state. */
function openAfter(
  memory: Memory,
  {
    head,
    round,
  }: { head: SignedState | undefined; round: Seen & { relations: readonly RelatedPair[] } },
): SignedState[] {
  const { relations } = round;
  const heads = [head, memory.head, ...memory.past].filter((state) => state !== undefined);
  const isPartOf =
    (state: SignedState) =>
    (whole: SignedState): boolean =>
      whole.size >= state.size && consistentWith(relations, whole, state);
  const left = [...memory.open, ...freshStates(memory, round)].filter(
    (state) => !heads.some(isPartOf(state)),
  );
  return left.filter((state) => !left.some((other) => other !== state && isPartOf(state)(other)));
}

/** Dense where it is recent, every second one of the older half given up when they are too many. */
function thinned(past: readonly SignedState[]): readonly SignedState[] {
  if (past.length <= memoryLimits.past) return past;
  const half = past.length / 2;
  return past.filter((_, i) => i >= half || i % 2 === 0);
}

function largestShown(
  { witnesses }: Memory,
  cosigned: Seen['cosigned'],
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    cosigned.map(({ witness, state }) => [witness, Math.max(state.size, witnesses[witness] ?? 0)]),
  );
}

function progressNote(
  before: SignedState | undefined,
  { size, cosignatures }: SignedState,
): string {
  const by = cosignatures.map(({ name }) => name).join(', ') || 'nobody';
  const grown =
    before === undefined ? 'the first that is kept' : `${size - before.size} more, consistent`;
  return `${size} entries, ${grown}, cosigned by ${by}`;
}

function shownAlarms(
  { head, past }: Memory,
  {
    shown,
    hasQuorum,
    relations,
  }: { shown: SignedState | undefined; hasQuorum: boolean; relations: readonly RelatedPair[] },
): string[] {
  if (shown === undefined) return [];
  const alarms = hasQuorum ? [] : [`the ${shown.size} entries that the log shows have no quorum`];
  if (head === undefined || isSameState(head, shown)) return alarms;
  if (shown.size < head.size) {
    const isOurs = isAmong(past, shown) || consistentWith(relations, head, shown);
    const whose = isOurs
      ? 'an older state of the same history'
      : 'it cannot be told of which history';
    alarms.push(
      `the log shows ${shown.size} entries after it showed ${head.size}: rolled back, or an old copy; ${whose}`,
    );
    return alarms;
  }
  const relation = relationBetween(relations, head, shown);
  if (relation?.result === 'open') {
    alarms.push(`that ${shown.size} entries extend ${head.size} is not proved: ${relation.reason}`);
  }
  return alarms;
}

function witnessAlarms(
  { witnesses }: Memory,
  { shown, cosigned }: { shown: SignedState | undefined; cosigned: Seen['cosigned'] },
): string[] {
  return cosigned.flatMap(({ witness, state: { size } }) => {
    const had = witnesses[witness] ?? 0;
    const alarms: string[] = [];
    if (shown !== undefined && size > shown.size) {
      alarms.push(
        `witness ${witness} has cosigned ${size} entries, the log shows ${shown.size}: not published yet, withheld, or rolled back`,
      );
    }
    if (size < had) {
      alarms.push(
        `witness ${witness} shows ${size} entries after it showed ${had}: rolled back, or an old copy`,
      );
    }
    return alarms;
  });
}

/** Open states, but for those that a witness's own alarm or the log's tells of already. */
function openAlarms(
  { head, open }: Memory,
  { shown, cosigned, relations }: Seen & { readonly relations: readonly RelatedPair[] },
): string[] {
  const isTold = (state: SignedState): boolean =>
    (shown !== undefined && isSameState(shown, state)) ||
    cosigned.some((one) => isSameState(one.state, state) && state.size > (shown?.size ?? 0));
  return open.flatMap((state) => {
    if (isTold(state)) return [];
    const size = shown?.size ?? head?.size ?? 0;
    if (state.size > size) return [`${state.size} entries were signed once, the log shows ${size}`];
    const relation = head && relationBetween(relations, head, state);
    const why = relation?.result === 'open' ? `: ${relation.reason}` : '';
    return [
      `that ${state.size} entries which were signed once belong to the log is not proved${why}`,
    ];
  });
}
