/** What becomes of the records of a partition that are taken many at once. */
export interface Progress {
  /** How many from the first on are done with, without a gap: what may be committed. */
  readonly done: () => number;
  /**
   * True when all are, or when it was given up and nothing is under way any more; false after
   * `withinMs`. Rejects as soon as one rejects.
   */
  readonly ended: (withinMs: number) => Promise<boolean>;
}

/**
 * Begins with the records in their order and never has more than `inFlight` under way. `take`
 * resolves to whether its record is done with. Once `giveUp` aborts, no other is begun.
 */
export function takeInOrder<Item>(
  items: readonly Item[],
  {
    take,
    inFlight,
    giveUp,
  }: {
    readonly take: (item: Item) => Promise<boolean>;
    readonly inFlight: number;
    readonly giveUp: AbortSignal;
  },
): Progress {
  const isDone = new Uint8Array(items.length);
  let begun = 0;
  let underWay = 0;
  let done = 0;
  let failure: { readonly error: unknown } | undefined;
  let wake: () => void = () => undefined;

  const begin = async (at: number, item: Item): Promise<void> => {
    underWay++;
    try {
      if (await take(item)) isDone[at] = 1;
    } catch (error) {
      failure ??= { error };
    }
    underWay--;
    while (isDone[done] === 1) done++;
    fill();
    if (failure !== undefined || isOver()) wake();
  };
  const fill = (): void => {
    while (underWay < inFlight && !giveUp.aborted && failure === undefined) {
      const item = items[begun];
      if (item === undefined) return;
      void begin(begun++, item);
    }
  };
  const isOver = (): boolean => underWay === 0 && (done === items.length || giveUp.aborted);

  fill();
  return {
    done: () => done,
    async ended(withinMs) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (failure !== undefined || isOver()) resolve();
        else timer = setTimeout(resolve, withinMs);
      });
      clearTimeout(timer);
      if (failure !== undefined) throw failure.error;
      return isOver();
    },
  };
}
