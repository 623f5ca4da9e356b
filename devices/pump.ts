import type { Reading } from '#core/energy/message.ts';
import { afterReset, drifted, isOn, type Fault } from './faults.ts';
import type { FleetMeter } from './fleet.ts';
import type { Gateway, SettledLevel } from './gateway.ts';
import { createCounters, createReadingSource, type MeterSchedule } from './schedule.ts';

/** A simulated meter and the gateway that speaks for it. */
export interface PumpedMeter {
  readonly meter: FleetMeter;
  readonly gateway: Gateway;
}

export interface PumpOptions {
  readonly meters: readonly PumpedMeter[];
  readonly schedule: MeterSchedule;
  readonly faults?: readonly Fault[];
}

/**
 * Drives a fleet on a clock that its owner steps: step the clock to `nextAtS`, `produceUntil` there,
 * wait until `settled`, step on.
 */
export interface Pump {
  /** When the next meter has something to say or a fault begins or ends, Unix seconds. */
  readonly nextAtS: () => number;
  /**
   * Has every meter measure, sign and store what falls due at or before `tS`, in time order, and
   * returns how many messages that made. Sending goes on by itself.
   */
  readonly produceUntil: (tS: number) => Promise<number>;
  /** Resolves when no gateway has anything under way; those that are offline on purpose do not count. */
  readonly settled: (level: SettledLevel, signal: AbortSignal) => Promise<void>;
}

/** Goes on behind the last reading that each gateway's store holds. */
export function createPump(options: PumpOptions): Pump {
  const { faults = [], schedule } = options;
  const meters = options.meters.map((pumped) => pumpedMeter(pumped, schedule, faults));
  const switches = offlineSwitches(options.meters, faults);
  let atS = Number.NEGATIVE_INFINITY;

  return {
    nextAtS: () => {
      const times = [...meters.map(({ nextAtS }) => nextAtS()), ...switches.map((s) => s.atS)];
      return Math.min(...times.filter((time) => time > atS));
    },
    async produceUntil(tS) {
      let messages = 0;
      for (;;) {
        const due = earliest([...switches, ...meters.map(asEvent)], tS);
        if (due === undefined) break;
        messages += await due.run();
      }
      atS = Math.max(atS, tS);
      return messages;
    },
    async settled(level, signal) {
      await Promise.all(options.meters.map(({ gateway }) => gateway.settled(level, signal)));
    },
  };
}

interface PumpEvent {
  readonly atS: number;
  readonly run: () => Promise<number>;
}

interface DrivenMeter {
  readonly nextAtS: () => number;
  readonly produce: () => Promise<number>;
}

function asEvent({ nextAtS, produce }: DrivenMeter): PumpEvent {
  return { atS: nextAtS(), run: produce };
}

/** The first of those due at or before `tS`; of equals the one that stands first. */
function earliest(events: readonly PumpEvent[], tS: number): PumpEvent | undefined {
  let first: PumpEvent | undefined;
  for (const event of events) {
    if (event.atS <= tS && (first === undefined || event.atS < first.atS)) first = event;
  }
  return first;
}

function pumpedMeter(
  { gateway, meter }: PumpedMeter,
  schedule: MeterSchedule,
  faults: readonly Fault[],
): DrivenMeter {
  const { lastT } = gateway.status();
  const source = createReadingSource(
    meter.registers,
    schedule,
    Math.max(lastT, schedule.startS - 1),
  );
  const own = faults.filter((fault) => fault.meter === meter.id);
  const measure = behaviour(meter, schedule, own);
  return {
    nextAtS: source.nextAtS,
    async produce() {
      const { atS, readings } = source.take();
      const known = gateway.status().lastT;
      // A clock that ran ahead and was put right has stamped these instants already.
      const fresh = measure(readings, atS).filter(({ t }) => t > known);
      if (fresh.length === 0) return 0;
      return (await gateway.record(fresh)).length;
    },
  };
}

/** What the meter's faults make of its readings. */
function behaviour(
  meter: FleetMeter,
  schedule: MeterSchedule,
  faults: readonly Fault[],
): (readings: readonly Reading[], atS: number) => readonly Reading[] {
  const resets = faults
    .filter((fault) => fault.kind === 'register-reset')
    .map(({ atS }) => ({ atS, baseline: createCounters(meter.registers, schedule)(atS) }));
  const drifts = faults.filter((fault) => fault.kind === 'clock-drift');
  return (readings, atS) => {
    let measured = readings;
    for (const reset of resets) measured = afterReset(measured, reset.atS, reset.baseline);
    for (const drift of drifts) if (isOn(drift, atS)) measured = drifted(measured, drift.driftS);
    return measured;
  };
}

/** Offline faults as events: each runs once, and then lies in no future. */
function offlineSwitches(meters: readonly PumpedMeter[], faults: readonly Fault[]): PumpEvent[] {
  const switches: PumpEvent[] = [];
  const add = (atS: number, act: () => Promise<void> | void): void => {
    const event = {
      atS,
      async run() {
        switches.splice(switches.indexOf(event), 1);
        await act();
        return 0;
      },
    };
    switches.push(event);
  };
  for (const fault of faults) {
    const pumped = meters.find(({ meter }) => meter.id === fault.meter);
    if (fault.kind !== 'offline' || pumped === undefined) continue;
    add(fault.atS, pumped.gateway.pause);
    add(fault.untilS, pumped.gateway.resume);
  }
  return switches;
}
