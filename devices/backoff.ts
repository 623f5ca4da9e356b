export interface BackoffOptions {
  readonly firstMs: number;
  readonly mostMs: number;
  /** A number in [0, 1), injected: `Math.random` in a real gateway, anything repeatable in tests. */
  readonly random: () => number;
}

/**
 * How long to wait before connection attempt number `attempt` (from 0 after a loss): doubling to a
 * limit, and evenly spread over the upper half of that, so that ten thousand meters that lost one
 * broker do not come back in the same second.
 */
export function backoffMs(attempt: number, options: BackoffOptions): number {
  const { firstMs, mostMs, random } = options;
  const fullMs = Math.min(mostMs, firstMs * 2 ** Math.min(attempt, 30));
  return Math.round(fullMs * (0.5 + 0.5 * random()));
}
