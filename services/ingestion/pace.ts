import { Failed } from '#core/errors.ts';

export interface PaceLimits {
  /** What one sender may send in the long run, and at once after a pause. */
  readonly messagesPerSecond: number;
  readonly burstMessages: number;
  /** The longest that an acknowledgement is held for this; beyond it the message is not taken. */
  readonly longestWaitMs: number;
  readonly sendersLimit: number;
}

export interface Pace {
  /**
   * How long the next message of this sender must wait, in milliseconds. Throws Failed('quota') when
   * too many wait already. Waits of one sender never shrink, so that its messages keep their order.
   */
  readonly waitMs: (sender: string) => number;
  /** Whether the next message of this sender may pass at once; counts it where it may. */
  readonly takes: (sender: string) => boolean;
}

/** Sender over its quota: slowed down (D4.1). A token bucket each, in real time. */
export function createPace(limits: PaceLimits, nowMs: () => number): Pace {
  /** For each sender the time at which its bucket would be full again: one number is the bucket. */
  const fullAtMs = new Map<string, number>();
  const everyMs = 1000 / limits.messagesPerSecond;
  const burstMs = limits.burstMessages * everyMs;

  /** Undefined, and nothing counted, where it would have to wait longer. */
  const take = (sender: string, longestWaitMs: number): number | undefined => {
    const now = nowMs();
    const full = Math.max(fullAtMs.get(sender) ?? now, now) + everyMs;
    const wait = full - burstMs - now;
    if (wait > longestWaitMs) return undefined;
    fullAtMs.delete(sender);
    fullAtMs.set(sender, full);
    forget(fullAtMs, now, limits.sendersLimit);
    return Math.max(0, wait);
  };
  return {
    waitMs: (sender) => {
      const wait = take(sender, limits.longestWaitMs);
      if (wait !== undefined) return wait;
      throw new Failed('quota', `${sender} sends more than ${limits.messagesPerSecond}/s`);
    },
    takes: (sender) => take(sender, 0) !== undefined,
  };
}

/** The first ones were heard of longest ago: those whose bucket is full are as good as new. */
function forget(fullAtMs: Map<string, number>, now: number, limit: number): void {
  for (const [sender, full] of fullAtMs) {
    if (full > now && fullAtMs.size <= limit) return;
    fullAtMs.delete(sender);
  }
}
