import { Failed } from '#core/errors.ts';

export interface BatchLimits {
  readonly batchMessages: number;
  readonly batchBytes: number;
  /** How long the first message of a quiet time waits for company. */
  readonly gatherMs: number;
  /** What may wait in memory; more is not taken, and so not acknowledged. */
  readonly queueMessages: number;
  readonly queueBytes: number;
}

export interface Batcher<Item> {
  /** Resolves when the batch with this item is committed, rejects when it is not. */
  readonly submit: (item: Item, bytes: number) => Promise<void>;
  /** Resolves when everything submitted so far, and meanwhile, has settled. */
  readonly idle: () => Promise<void>;
  readonly size: () => number;
}

interface Waiting<Item> {
  readonly item: Item;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Queue<Item> {
  readonly hasRoom: (bytes: number) => boolean;
  readonly push: (waiting: Waiting<Item>) => void;
  readonly isEmpty: () => boolean;
  /** Enough for a whole batch. */
  readonly isFull: () => boolean;
  /** The next batch, in the order of arrival. */
  readonly take: () => Waiting<Item>[];
}

function createQueue<Item>(limits: BatchLimits): Queue<Item> {
  let queue: Waiting<Item>[] = [];
  let queuedBytes = 0;
  return {
    hasRoom: (bytes) =>
      queue.length < limits.queueMessages && queuedBytes + bytes <= limits.queueBytes,
    push: (waiting) => {
      queue.push(waiting);
      queuedBytes += waiting.bytes;
    },
    isEmpty: () => queue.length === 0,
    isFull: () => queue.length >= limits.batchMessages || queuedBytes >= limits.batchBytes,
    take: () => {
      let bytes = 0;
      let count = 0;
      for (const waiting of queue) {
        const fits = count < limits.batchMessages && bytes + waiting.bytes <= limits.batchBytes;
        if (count > 0 && !fits) break;
        bytes += waiting.bytes;
        count++;
      }
      const batch = queue.slice(0, count);
      queue = queue.slice(count);
      queuedBytes -= bytes;
      return batch;
    },
  };
}

/**
 * Gathers what arrives into batches, in the order of arrival, and commits one at a time: while one
 * transaction commits, the next batch gathers, so that batches grow with the load by themselves.
 *
 * A batch that is refused for another reason than a failing database is halved until the item that
 * causes it stands alone: one item can never keep the others out.
 */
export function createBatcher<Item>(
  limits: BatchLimits,
  commit: (items: readonly Item[]) => Promise<void>,
): Batcher<Item> {
  const queue = createQueue<Item>(limits);
  let working = false;
  let unsettled = 0;
  const whenIdle: (() => void)[] = [];
  /** Set while a first item waits for company; ends the wait. */
  let enough: (() => void) | undefined;

  const settle = async (batch: readonly Waiting<Item>[]): Promise<void> => {
    try {
      await commit(batch.map(({ item }) => item));
    } catch (error) {
      if (error instanceof Failed || batch.length === 1) {
        for (const { reject } of batch) reject(error);
        return;
      }
      const half = batch.length >> 1;
      await settle(batch.slice(0, half));
      await settle(batch.slice(half));
      return;
    }
    for (const { resolve } of batch) resolve();
  };

  const company = (): Promise<void> =>
    new Promise((resolve) => {
      const go = (): void => {
        clearTimeout(timer);
        enough = undefined;
        resolve();
      };
      const timer = setTimeout(go, limits.gatherMs);
      enough = go;
    });

  const work = async (): Promise<void> => {
    working = true;
    if (!queue.isFull()) await company();
    while (!queue.isEmpty()) {
      const batch = queue.take();
      await settle(batch);
      unsettled -= batch.length;
    }
    working = false;
    if (unsettled === 0) for (const tell of whenIdle.splice(0)) tell();
  };

  return {
    submit: (item, bytes) => {
      if (!queue.hasRoom(bytes)) {
        return Promise.reject(new Failed('busy', 'too many messages wait to be stored'));
      }
      return new Promise((resolve, reject) => {
        queue.push({ item, bytes, resolve, reject });
        unsettled++;
        if (!working) void work();
        else if (queue.isFull()) enough?.();
      });
    },
    idle: () =>
      new Promise((resolve) => {
        if (unsettled === 0) resolve();
        else whenIdle.push(resolve);
      }),
    size: () => unsettled,
  };
}
