/** Lets work wait until something has changed, whatever it was. */
export interface Changes {
  readonly notify: () => void;
  /** Resolves at the next `notify`; rejects with a signal's reason once that aborts. */
  readonly next: (...signals: readonly AbortSignal[]) => Promise<void>;
}

export function createChanges(): Changes {
  const target = new EventTarget();
  return {
    notify: () => {
      target.dispatchEvent(new Event('change'));
    },
    next: (...signals) =>
      new Promise((resolve, reject) => {
        const aborted = (): AbortSignal | undefined => signals.find((signal) => signal.aborted);
        const done = (): void => {
          target.removeEventListener('change', done);
          for (const signal of signals) signal.removeEventListener('abort', done);
          const first = aborted();
          if (first === undefined) resolve();
          else reject(first.reason as Error);
        };
        target.addEventListener('change', done);
        // Each by itself: AbortSignal.any of a timeout does not keep that from being collected (Node 20).
        for (const signal of signals) signal.addEventListener('abort', done);
        if (aborted() !== undefined) done();
      }),
  };
}
