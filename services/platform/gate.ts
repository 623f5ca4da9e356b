/** Bounds what is under way at a time, by count and by a weight that is known only later. */
export interface Gate {
  readonly enter: () => Promise<Entered>;
}

export interface Entered {
  /** Says how much it turned out to be: from here on it counts by that alone, until it leaves. */
  readonly weigh: (weight: number) => void;
  /** Weighed or not; once. */
  readonly leave: () => void;
}

/**
 * Lets in as long as fewer than `limit` are in whose weight is not known, and the others weigh less than
 * `limitWeight`; the rest wait in the order of their coming.
 */
export function createGate(limits: { readonly limit: number; readonly limitWeight: number }): Gate {
  let unweighed = 0;
  let weight = 0;
  const waiting: (() => void)[] = [];

  const letIn = (): void => {
    while (unweighed < limits.limit && weight < limits.limitWeight) {
      const next = waiting.shift();
      if (next === undefined) return;
      unweighed += 1;
      next();
    }
  };

  const entered = (): Entered => {
    let own: number | undefined;
    return {
      weigh(of) {
        if (own !== undefined) throw new RangeError('gate: weighed already');
        own = of;
        unweighed -= 1;
        weight += of;
        letIn();
      },
      leave() {
        if (own === undefined) unweighed -= 1;
        else weight -= own;
        letIn();
      },
    };
  };

  return {
    enter: () =>
      new Promise((resolve) => {
        waiting.push(() => {
          resolve(entered());
        });
        letIn();
      }),
  };
}
