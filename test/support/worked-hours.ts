import { sha256 } from '#crypto';
import { toHex, utf8 } from '#core/bytes.ts';
import { commitmentOf, commitmentSalt, encodeOpening } from '#core/certificate/commitment.ts';
import { batchMessages, hourOfBatch, validAtOf } from '#core/certificate/hour-evidence.ts';
import { whyNotCounted, type MeterMessage } from '#core/certificate/hour-evidence.ts';
import { metersOfHour, type LogState, type MeterState } from '#core/certificate/state.ts';
import { compareLeaves, encodeMessageLeaf } from '#core/energy/batch.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import { buildMessage, parseMessage, type Message, type Reading } from '#core/energy/message.ts';
import {
  meterLeaves,
  meterRecordOf,
  metersRoot,
  type KeyState,
} from '#core/energy/meter-record.ts';
import type { PlantHour } from '#core/energy/plant-hour.ts';
import { emptyChain, extendChain } from '#core/energy/receipt.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { testKey, testOrigin, testStartS, type LogBuilder } from './log-builder.ts';

/** The meters of the worked log, and what an hour of theirs is worth. */

/** How long after its last reading a message arrives. */
const travelS = 5;

export interface Arrived {
  readonly receivedAt: number;
  readonly bytes: Uint8Array;
  readonly parsed: ReturnType<typeof parseMessage>;
}

/** One key of a meter: its own numbering, and all that arrived under it. */
export interface Device {
  readonly plant: string;
  readonly meter: string;
  readonly register: string;
  readonly key: ReturnType<typeof testKey>;
  readonly arrived: Arrived[];
}

export function arrive(
  device: Device,
  seq: number,
  readings: readonly (readonly [number, number])[],
): Arrived {
  const { plant, meter, register, key, arrived } = device;
  const message: Message = {
    log: testOrigin,
    meter,
    plant,
    readings: readings.map(([t, value]): Reading => ({ registers: { [register]: value }, t })),
    seq,
    v: 1,
  };
  const bytes = utf8(buildMessage(key, message));
  const receivedAt = (readings.at(-1)?.[0] ?? 0) + travelS;
  const one = { receivedAt, bytes, parsed: parseMessage(bytes) };
  arrived.push(one);
  return one;
}

export const leafOf = ({ receivedAt, bytes }: Arrived): Uint8Array =>
  encodeMessageLeaf({ receivedAt, bytes });

type Held = Arrived & MeterMessage;

export interface Sealed {
  readonly roots: {
    readonly batchRoot: string;
    readonly messages: number;
    readonly metersRoot: string;
  };
  readonly figures: PlantHour;
  readonly messages: readonly Held[];
  readonly records: readonly Uint8Array[];
  readonly leaves: readonly Uint8Array[];
}

/** What is known of a plant's hour, as the ledger computes it before it makes an entry of it. */
export function sealHour(
  { state }: LogBuilder,
  devices: readonly Device[],
  { plant, start }: { readonly plant: string; readonly start: number },
): Sealed {
  const messages = metersOfHour(state, plant, start)
    .flatMap(([, meter]) => batchMessages(heldBy(state, meter, devices), start))
    .sort(compareLeaves);
  const figures = hourOfBatch(state, { plant, start }, { messages, disputes: new Map() });
  const leaves = messages.map(leafOf);
  const records = figures.meters.map((meterHour) =>
    meterRecordOf(meterHour, {
      start,
      keys: keysOf(state.meters.get(meterHour.meter), { messages, devices }),
      leafOf: (of) => messages.findIndex(({ kid, seq }) => kid === of.kid && seq === of.seq),
    }),
  );
  return {
    figures,
    messages,
    leaves,
    records: meterLeaves(records),
    roots: {
      batchRoot: toHex(treeRoot(leaves.map(leafHash))),
      messages: messages.length,
      metersRoot: toHex(metersRoot(records)),
    },
  };
}

/** The messages of a meter that count, as the rules and decisions of the log so far say. */
function heldBy(state: LogState, meter: MeterState, devices: readonly Device[]): Held[] {
  const rules = state.genesis?.rules;
  return devices
    .filter((one) => one.meter === meter.spec.meter)
    .flatMap(({ key: { kid }, arrived }) => {
      const keyState = state.keys.get(kid);
      if (keyState === undefined || rules === undefined) return [];
      return arrived
        .map((one): Held => {
          const { seq, readings } = one.parsed.message;
          const validAt = validAtOf(meter, readings);
          return { ...one, meter: meter.spec.meter, kid, seq, readings, validAt };
        })
        .filter((one) => whyNotCounted(keyState, one, rules) === undefined);
    });
}

/** What is known of each key at its last message of the batch; nothing is missing in this log. */
function keysOf(
  meter: MeterState | undefined,
  {
    messages,
    devices,
  }: { readonly messages: readonly Held[]; readonly devices: readonly Device[] },
): KeyState[] {
  return (meter?.kids ?? []).flatMap((kid) => {
    const throughSeq = Math.max(...messages.map((one) => (one.kid === kid ? one.seq : 0)));
    if (throughSeq <= 0) return [];
    const chain = (devices.find(({ key }) => key.kid === kid)?.arrived ?? [])
      .slice(0, throughSeq)
      .reduce<Uint8Array>((link, { parsed }) => extendChain(link, parsed.hash), emptyChain);
    return [{ chain: toHex(chain), kid, missing: [], throughSeq }];
  });
}

export function device(
  keyName: string,
  place: Pick<Device, 'meter' | 'plant' | 'register'>,
): Device {
  return { ...place, key: testKey(keyName), arrived: [] };
}

/** The site's secret is the SHA-256 of a text that the page names. */
const siteSecret = sha256(utf8('hourseal test site secret mill'));

export function commitHour(log: LogBuilder, sealed: Sealed, version: number) {
  const { figures, messages, records, roots } = sealed;
  const start = testStartS;
  const salt = commitmentSalt(siteSecret, { origin: testOrigin, plant: 'mill', start, version });
  const opening = {
    consumption: figures.consumptionWh ?? 0,
    messages: messages.length,
    quality: figures.quality,
  };
  const latest = log.state.plants.get('mill')?.latest;
  const spec = {
    batchRoot: roots.batchRoot,
    commitment: toHex(commitmentOf(salt, opening)),
    interval: { seconds: hourSeconds, start },
    metersRoot: roots.metersRoot,
    plant: 'mill',
    ...(latest !== undefined && { prev: latest }),
  };
  return { spec, salt, opening: encodeOpening({ opening, salt, records }) };
}
