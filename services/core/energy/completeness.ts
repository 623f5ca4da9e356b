import { hourSeconds, requireHourStart } from './hours.ts';

/** A message under a registered key that took its `seq`, accepted or not. */
export interface SeenMessage {
  readonly kid: string;
  readonly seq: number;
  /** `t` of its first and of its last reading. */
  readonly tFirst: number;
  readonly tLast: number;
  /** Accepted. A quarantined message shows only that its `seq` is not missing. */
  readonly counts: boolean;
  /** `t` of its readings that are valid for all registers that count: `validInstants` of register.ts. */
  readonly validAt: readonly number[];
}

export interface KeySpan {
  readonly kid: string;
  /** From the key's end; absent while the key is in use. 0: it never was. */
  readonly lastSeq?: number | undefined;
}

export interface CompletenessQuestion {
  /** Start of a UTC hour. */
  readonly start: number;
  /** The meter's keys in the order of their entries; a stretch of them will do if `seen` stays within it. */
  readonly keys: readonly KeySpan[];
  /** In any order; those around the hour are enough. */
  readonly seen: readonly SeenMessage[];
  /** The meter's first message of all: nothing can lie before it. */
  readonly firstMessage?: { readonly kid: string; readonly seq: number } | undefined;
}

/**
 * Whether all that a meter can say about an hour has arrived (D4.3): some message A reaches back to
 * the start or is the meter's first, some message B has a valid reading at or after the end, and no
 * `seq` from A to B is missing; A and B may be one. Under a key `t` never falls as `seq` grows, so
 * what lies outside A … B lies outside the hour. A `seq` lost elsewhere delays nothing.
 */
export function isMeterComplete(question: CompletenessQuestion): boolean {
  const start = requireHourStart(question.start);
  const end = start + hourSeconds;
  const { firstMessage } = question;
  const byKey = groupByKey(question.seen);
  /** Whether, from some A on, every `seq` so far has been seen. */
  let isRunning = false;
  for (const { kid, lastSeq } of question.keys) {
    let through = 0;
    for (const message of byKey.get(kid) ?? []) {
      if (message.seq === through) continue;
      if (lastSeq !== undefined && message.seq > lastSeq) break;
      if (message.seq !== through + 1) isRunning = false;
      through = message.seq;
      const isFirst = firstMessage?.kid === kid && firstMessage.seq === message.seq;
      if (isFirst || (message.counts && message.tFirst <= start)) isRunning = true;
      if (isRunning && message.counts && message.validAt.some((t) => t >= end)) return true;
    }
    // While a key is in use, what it has still to say is not known to the next one.
    if (through !== lastSeq) isRunning = false;
  }
  return false;
}

function groupByKey(seen: readonly SeenMessage[]): Map<string, SeenMessage[]> {
  const byKey = new Map<string, SeenMessage[]>();
  for (const message of seen) {
    const list = byKey.get(message.kid);
    if (list === undefined) byKey.set(message.kid, [message]);
    else list.push(message);
  }
  for (const list of byKey.values()) list.sort((a, b) => a.seq - b.seq);
  return byKey;
}
