import { hourSeconds } from '#core/energy/hours.ts';
import type { SignedDraft } from '#core/certificate/entry.ts';
import { systemClock, type Clock } from '#platform/clock.ts';
import * as people from '#support/log-people.ts';

/** What the killed process and the load around it must agree on. */
export interface World {
  /** Of the data folder; the database lies in it unless `databaseUrl` names a server. */
  readonly folder: string;
  readonly databaseUrl?: string;
  readonly port: number;
  /** When the accelerated clock stood at `startS`, by the machine's. */
  readonly beganMs: number;
}

export const audience = 'broker.example';
/** Simulated seconds in a real one: an hour passes in six seconds. */
const factor = 600;
/** A whole hour, so that the first one to be sealed begins one later. */
export const startS = Date.UTC(2026, 0, 1) / 1000;
export const readingEveryS = 60;
/** Short, so that the deadline passes for meters that are silent, and corrections follow. */
const deadlineS = 2 * hourSeconds;

/**
 * Runs ahead of the machine's clock by a factor. Computed from the same instant by both sides, so
 * that no limit on time (futures, passwords, deadlines) is bent between them.
 */
export function acceleratedClock({ beganMs }: Pick<World, 'beganMs'>): Clock {
  const nowMs = (): number => startS * 1000 + (Date.now() - beganMs) * factor;
  return {
    nowMs,
    nowS: () => Math.floor(nowMs() / 1000),
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
  };
}

/** How a meter behaves on the wire. */
export type Behaviour =
  /** Sends every reading as it is made. */
  | 'steady'
  /** Is silent for hours, then sends everything in random order. */
  | 'lazy'
  /** Once signs two messages under one number. */
  | 'forking'
  /** Is the product's own gateway. */
  | 'gateway';

export interface WorldMeter {
  readonly plant: string;
  readonly meter: string;
  readonly behaviour: Behaviour;
  readonly register: 'exportWh' | 'importWh';
  readonly whPerS: number;
}

export interface WorldPlant {
  readonly plant: string;
  readonly type: 'production' | 'consumption';
  readonly meters: readonly WorldMeter[];
  /** What a whole hour generates; undefined where forks make it nobody's guess. */
  readonly hourWh: number | undefined;
}

const plantCount = 20;

/** Linear registers, so that every test of energy is exact. */
export const worldPlants: readonly WorldPlant[] = Array.from({ length: plantCount }, (_, i) =>
  plantOf(i),
);
export const worldMeters: readonly WorldMeter[] = worldPlants.flatMap(({ meters }) => meters);

function plantOf(i: number): WorldPlant {
  const plant = `p${String(i).padStart(2, '0')}`;
  const behaviour: Behaviour =
    i === 0 ? 'forking' : i % 5 === 1 ? 'gateway' : i % 5 === 2 ? 'lazy' : 'steady';
  const whPerS = 7 * (i + 1);
  const main = { plant, meter: `${plant}-m`, behaviour, whPerS } as const;
  if (i === plantCount - 1) {
    const meters = [{ ...main, register: 'importWh' as const }];
    return { plant, type: 'consumption', meters, hourWh: 0 };
  }
  const meters: WorldMeter[] = [{ ...main, register: 'exportWh' }];
  if (i % 4 === 3) {
    const auxiliary = { plant, meter: `${plant}-aux`, behaviour: 'steady', whPerS: 2 } as const;
    meters.push({ ...auxiliary, register: 'importWh' });
  }
  const ownUse = meters.length === 1 ? 0 : 2;
  const hourWh = behaviour === 'forking' ? undefined : (whPerS - ownUse) * hourSeconds;
  return { plant, type: 'production', meters, hourWh };
}

export function registerAt({ whPerS }: WorldMeter, t: number): number {
  return 1_000_000 + (t - startS) * whPerS;
}

/** Genesis and enrolment: the log's first entries, made alike by every process that is the first. */
export function enrolment(): readonly SignedDraft[] {
  const rules = { deadlineS };
  return [people.genesis(rules), ...worldPlants.flatMap(enrolPlant)];
}

function enrolPlant({ plant, type, meters }: WorldPlant): SignedDraft[] {
  const isSite = type === 'consumption';
  const members = isSite ? { type, disclosure: 'committed', source: 'none' } : {};
  const at = { at: plant, owner: plant };
  return [
    people.account(plant),
    people.plant(plant, plant, members),
    ...meters.flatMap((meter) => [
      people.meter(meter.meter, {
        ...at,
        role: isSite ? 'consumption' : meter.register === 'exportWh' ? 'production' : 'auxiliary',
        registers: {
          [meter.register]: {
            direction: meter.register === 'exportWh' ? 'export' : 'import',
            unit: 'Wh',
          },
        },
        // A password of five minutes would be good for half a second.
        clock: 'unreliable',
        serial: meter.meter,
      }),
      people.key(meter.meter, at),
    ]),
  ];
}
