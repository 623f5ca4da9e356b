import { setTimeout as sleep } from 'node:timers/promises';
import { utf8 } from '#core/bytes.ts';
import type { PublicKey } from '#core/keys.ts';
import { createGateway, type Gateway } from '#devices/gateway.ts';
import { createMemoryJournal } from '#devices/store-journal.ts';
import { openStore } from '#devices/store.ts';
import { systemClock } from '#platform/clock.ts';
import { testLog } from '#support/register.ts';
import type { Device } from './rig.ts';

/** The product's gateway of one meter, in memory, that comes back quickly. */
export async function gatewayOf(
  device: Device,
  url: string,
  options: { readonly receipts: PublicKey; readonly answerTimeoutMs?: number },
): Promise<Gateway & Promised> {
  const { meter, plant } = device.of;
  const promised = {
    acknowledged: new Set<number>(),
    throughSeq: 0,
    disconnections: 0,
    faults: [] as string[],
  };
  const signed = new Map<number, Uint8Array>();
  const gateway = createGateway({
    url,
    plant,
    meter,
    origin: testLog,
    audience: 'any',
    signer: device.signer,
    store: await openStore(createMemoryJournal(), { meter, kid: device.signer.kid }),
    ingestionKeys: [options.receipts],
    clock: {
      nowS: systemClock.nowS,
      sleep: async (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
    },
    random: Math.random,
    limits: {
      answerTimeoutMs: options.answerTimeoutMs ?? 500,
      backoffFirstMs: 50,
      backoffMostMs: 200,
    },
    onEvent: (event) => {
      if (event.kind === 'acknowledged') promised.acknowledged.add(event.seq);
      else if (event.kind === 'settled') promised.throughSeq = event.throughSeq;
      else if (event.kind === 'disconnected') promised.disconnections++;
      else if (event.kind === 'failed') promised.faults.push(String(event.error));
      else if (event.kind === 'refused' || event.kind === 'receipt-refused') {
        promised.faults.push(JSON.stringify(event));
      }
    },
  });
  return {
    ...gateway,
    record: async (readings) => {
      const messages = await gateway.record(readings);
      for (const { seq, jws } of messages) signed.set(seq, utf8(jws));
      return messages;
    },
    device,
    signed,
    promised: () => promised,
  };
}

/** What one key has signed, and what the other side has promised about it. */
export interface Promised {
  readonly device: Device;
  /** By seq. */
  readonly signed: ReadonlyMap<number, Uint8Array>;
  readonly promised: () => {
    readonly acknowledged: ReadonlySet<number>;
    /** Of the newest receipt. */
    readonly throughSeq: number;
    readonly disconnections: number;
    readonly faults: readonly string[];
  };
}
