import { Failed } from '#core/errors.ts';

export interface LineLimits {
  /** CONNECTs whose password is being checked at one time, all connections together. */
  readonly connecting: number;
  /** How long one waits for its turn; the connections there may be bound how many do. */
  readonly connectWaitMs: number;
}

/**
 * A fleet that lost its broker comes back as one. Turned away, it would come again as one; so each
 * waits here for its turn, in the order of their coming, and every turn is short.
 */
export interface Line {
  /** Does `work` in its turn. Failed('busy') when that does not come in time, or nobody waits for it. */
  readonly inTurn: <Result>(work: () => Promise<Result>, isGone: () => boolean) => Promise<Result>;
  readonly waiting: () => number;
}

interface Place {
  readonly isGone: () => boolean;
  readonly go: () => void;
  readonly leave: (error: Failed) => void;
  readonly untilMs: number;
}

export function createLine({ connecting, connectWaitMs }: LineLimits): Line {
  const places = new Set<Place>();
  let busy = 0;

  const letGo = (): void => {
    for (const place of places) {
      if (busy >= connecting) return;
      places.delete(place);
      if (place.isGone()) place.leave(new Failed('busy', 'it has gone'));
      else if (performance.now() > place.untilMs) {
        place.leave(new Failed('busy', 'too many connect at once'));
      } else {
        busy++;
        place.go();
      }
    }
  };
  return {
    inTurn: async (work, isGone) => {
      const untilMs = performance.now() + connectWaitMs;
      await new Promise<void>((go, leave) => {
        places.add({ isGone, go, leave, untilMs });
        letGo();
      });
      try {
        return await work();
      } finally {
        busy--;
        letGo();
      }
    },
    waiting: () => places.size,
  };
}
