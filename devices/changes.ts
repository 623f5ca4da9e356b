/** Lets work wait until something has changed, whatever it was. */
export interface Changes {
  readonly notify: () => void;
  /** Resolves at the next `notify`; rejects with the signal's reason once that aborts. */
  readonly next: (signal: AbortSignal) => Promise<void>;
}

export function createChanges(): Changes {
  const target = new EventTarget();
  return {
    notify: () => {
      target.dispatchEvent(new Event('change'));
    },
    next: (signal) =>
      new Promise((resolve, reject) => {
        const done = (): void => {
          target.removeEventListener('change', done);
          signal.removeEventListener('abort', done);
          if (signal.aborted) reject(signal.reason as Error);
          else resolve();
        };
        target.addEventListener('change', done);
        signal.addEventListener('abort', done);
        if (signal.aborted) done();
      }),
  };
}
