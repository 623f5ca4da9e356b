/** Why a signal of `withDeadline` has aborted when its time was up. */
export class DeadlinePassed extends Error {
  override readonly name = 'DeadlinePassed';
}

/**
 * Does `work` with a signal that aborts after `limitMs`, with DeadlinePassed, or with the first of
 * `stops`, with that one's reason. What the work makes of it is the work's affair: it is awaited.
 *
 * Not `AbortSignal.any` over `AbortSignal.timeout`: Node 20 holds the timeout weakly there, and once
 * it has been collected nothing ever aborts.
 */
export async function withDeadline<T>(
  limitMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  ...stops: readonly AbortSignal[]
): Promise<T> {
  const over = new AbortController();
  const timer = setTimeout(() => {
    over.abort(new DeadlinePassed(`not within ${limitMs} ms`));
  }, limitMs);
  const releases = stops.map((stop) => {
    const follow = (): void => over.abort(stop.reason);
    stop.addEventListener('abort', follow);
    if (stop.aborted) follow();
    return () => {
      stop.removeEventListener('abort', follow);
    };
  });
  try {
    return await work(over.signal);
  } finally {
    clearTimeout(timer);
    for (const release of releases) release();
  }
}
