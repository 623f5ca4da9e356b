/** Time for devices: `#platform/clock.ts` fits it, and so does any other clock with these two. */
export interface DeviceClock {
  /** Unix time in whole seconds, UTC. */
  readonly nowS: () => number;
  /** Rejects with the signal's reason once that aborts. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}
