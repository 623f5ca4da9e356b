/** The answer to one PUBLISH. */
export interface Ack {
  readonly packetId: number;
  readonly reasonCode: number;
}

export interface OrderedAcks {
  /** A PUBLISH has come. What is returned is called once, whenever its outcome is known. */
  readonly enter: (packetId: number) => (reasonCode: number) => void;
  /** How many have come and were not answered. */
  readonly waiting: () => number;
  /** Resolves when all that have come are answered. */
  readonly none: () => Promise<void>;
}

interface Slot {
  readonly packetId: number;
  reasonCode: number | undefined;
}

/**
 * PUBACKs leave in the order in which their PUBLISHes came (MQTT 5, [MQTT-4.6.0-2]), however their
 * outcomes become known. So one that waits holds back all that came after it: whoever decides what
 * waits must see to it that nothing waits for a reason of its own.
 */
export function createOrderedAcks(send: (acks: readonly Ack[]) => void): OrderedAcks {
  /** In the order of arrival, which a Set keeps. */
  const line = new Set<Slot>();
  const whenNone: (() => void)[] = [];
  let due = false;

  const flush = (): void => {
    due = false;
    const ready: Ack[] = [];
    for (const slot of line) {
      const { packetId, reasonCode } = slot;
      if (reasonCode === undefined) break;
      line.delete(slot);
      ready.push({ packetId, reasonCode });
    }
    if (ready.length > 0) send(ready);
    if (line.size === 0) for (const tell of whenNone.splice(0)) tell();
  };
  return {
    enter: (packetId) => {
      const slot: Slot = { packetId, reasonCode: undefined };
      line.add(slot);
      return (reasonCode) => {
        slot.reasonCode ??= reasonCode;
        if (due) return;
        due = true;
        // Those of one commit settle together, and leave in one write.
        setImmediate(flush);
      };
    },
    waiting: () => line.size,
    none: () =>
      new Promise((resolve) => {
        if (line.size === 0) resolve();
        else whenNone.push(resolve);
      }),
  };
}
