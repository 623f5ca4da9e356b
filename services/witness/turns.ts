import { Failed } from '#core/errors.ts';

/** Lets work on one thing happen one after the other, and work on different things side by side. */
export interface Turns {
  /** Failed('busy') when too many wait already. */
  readonly take: <T>(thing: string, work: () => Promise<T>) => Promise<T>;
  /** Resolves once nothing is under way or waits. */
  readonly whenIdle: () => Promise<void>;
}

export function createTurns(limits: { readonly waitingPerThing: number }): Turns {
  interface Line {
    /** Resolves when the last in line is done; never rejects. */
    end: Promise<unknown>;
    length: number;
  }
  const lines = new Map<string, Line>();
  return {
    async take(thing, work) {
      const line = lines.get(thing) ?? { end: Promise.resolve(), length: 0 };
      if (line.length > limits.waitingPerThing) {
        throw new Failed('busy', `${line.length} requests about ${thing} are under way already`);
      }
      lines.set(thing, line);
      line.length += 1;
      const turn = line.end.then(work);
      line.end = turn.catch(() => undefined);
      try {
        return await turn;
      } finally {
        line.length -= 1;
        if (line.length === 0) lines.delete(thing);
      }
    },
    async whenIdle() {
      while (lines.size > 0) await Promise.all([...lines.values()].map(({ end }) => end));
    },
  };
}
