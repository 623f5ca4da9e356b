import { buildMessage, type Reading } from '#core/energy/message.ts';
import { Failed, Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import { splitReadings } from './batching.ts';
import type { MessageStore } from './store.ts';
import type { StoredMessage } from './store-contents.ts';

export interface RecorderOptions {
  readonly plant: string;
  readonly origin: string;
  readonly signer: Signer;
  readonly store: MessageStore;
  /** Calls that may wait for the store. */
  readonly waitingRecords: number;
}

/** Turns readings into signed, stored messages. */
export function createRecorder(
  options: RecorderOptions,
): (readings: readonly Reading[]) => Promise<readonly StoredMessage[]> {
  const { origin, plant, signer, store, waitingRecords } = options;
  const { meter } = store.state();
  let waiting = 0;

  return async (readings) => {
    if (waiting >= waitingRecords) {
      throw new Failed('busy', `${meter}: ${waiting} records wait for the store`);
    }
    waiting++;
    try {
      const stored: StoredMessage[] = [];
      for (const part of splitReadings(readings)) stored.push(...(await append(part)));
      return stored;
    } finally {
      waiting--;
    }
  };

  /** One message, or as many as it takes when one is longer than 65,000 bytes. */
  async function append(readings: readonly Reading[]): Promise<readonly StoredMessage[]> {
    try {
      return [await store.append((seq) => sign(seq, readings))];
    } catch (error) {
      const tooLong = error instanceof Refused && error.code === 'size' && readings.length > 1;
      if (!tooLong) throw error;
      const half = Math.ceil(readings.length / 2);
      return [...(await append(readings.slice(0, half))), ...(await append(readings.slice(half)))];
    }
  }

  function sign(seq: number, readings: readonly Reading[]): string {
    const { lastT } = store.state();
    const first = readings[0]?.t ?? lastT;
    if (first <= lastT) {
      throw new Refused('time', `${meter}: a reading at ${first} after one at ${lastT}`);
    }
    return buildMessage(signer, { v: 1, log: origin, plant, meter, seq, readings });
  }
}
