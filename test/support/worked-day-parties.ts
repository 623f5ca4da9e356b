import { buildMessage, type Reading } from '#core/energy/message.ts';
import type { Signer } from '#core/signer.ts';
import type { Ledger } from '#ledger/service.ts';
import type { ManualClock } from '#platform/clock.ts';
import { testKey, testOrigin, testStartS } from './log-builder.ts';

/** Who takes part in the worked day, and what they can do. */

const midnightS = testStartS - 10 * 3600;

/** All that is signed on the day is good until the next morning. */
export const notAfter = testStartS + 86_400;
/** Unix seconds of a time of the day, `HH:MM` or `HH:MM:SS`, UTC. */
export function at(time: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = time.split(':').map(Number);
  return midnightS + hours * 3600 + minutes * 60 + seconds;
}

export interface Device {
  readonly plant: string;
  readonly meter: string;
  readonly register: string;
  readonly key: Signer;
}

export const issuing = testKey('issuing body');
export const solarOwner = testKey('solar account');
export const millOwner = testKey('mill account');
export const solar: Device = {
  plant: 'solar',
  meter: 'SOLAR-1',
  register: 'exportWh',
  key: testKey('solar meter'),
};
export const solarLater: Device = { ...solar, key: testKey('solar meter 2') };
export const own: Device = {
  plant: 'solar',
  meter: 'SOLAR-2',
  register: 'importWh',
  key: testKey('solar auxiliary meter'),
};
export const mill: Device = { ...own, plant: 'mill', meter: 'MILL-1', key: testKey('mill meter') };

export function ownerOf(plant: string): Signer {
  return plant === 'mill' ? millOwner : solarOwner;
}

export interface DayEntry {
  readonly index: number;
  readonly time: number;
  readonly leafHash: string;
  readonly jcs: string;
}

/** What one can do on the day. Times only move forward. */
export interface Day {
  readonly ledger: Ledger;
  readonly clock: ManualClock;
  readonly entries: () => Promise<readonly DayEntry[]>;
  /** Enters an action at once; its nonce tells in the example what it belongs to. */
  readonly enter: (
    kind: string,
    spec: Readonly<Record<string, unknown>> & { readonly nonce: string },
    signers: readonly Signer[],
  ) => Promise<void>;
  /** A message with the register's value at each of some times; it arrives now, or soon after the last. */
  readonly send: (
    device: Device,
    seq: number,
    values: Readonly<Record<string, number>>,
  ) => Promise<void>;
  readonly moveTo: (timeS: number) => Promise<void>;
  /** The ledger looks once. */
  readonly step: (time: string) => Promise<void>;
}

export function messageOf(
  { plant, meter, register, key }: Device,
  seq: number,
  values: Readonly<Record<string, number>>,
): string {
  const readings = Object.entries(values).map(([time, value]): Reading => ({
    registers: { [register]: value },
    t: at(time),
  }));
  return buildMessage(key, { log: testOrigin, meter, plant, readings, seq, v: 1 });
}
