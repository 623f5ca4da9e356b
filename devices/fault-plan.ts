import { Refused } from '#core/errors.ts';
import type { Fault, FaultKind } from './faults.ts';
import type { FleetPlant } from './fleet.ts';

/** What the command line asks for; each member is missing, or says how much. */
export interface FaultRequest {
  readonly tamper?: boolean;
  readonly replay?: boolean;
  readonly fork?: boolean;
  readonly registerReset?: boolean;
  readonly offlineS?: number;
  readonly clockDriftS?: number;
}

/** How long a wrong clock stays wrong. */
const driftForS = 3600;

/** Whom each fault strikes in the demo's fleet, and how long after the first reading. */
const targets: Readonly<Record<FaultKind, { readonly meter: string; readonly afterS: number }>> = {
  tamper: { meter: 'SOLAR-1', afterS: 1800 },
  replay: { meter: 'WIND-1', afterS: 2700 },
  fork: { meter: 'CHARGE-1', afterS: 4500 },
  offline: { meter: 'HYDRO-1', afterS: 1800 },
  'clock-drift': { meter: 'WORKS-1', afterS: 5400 },
  'register-reset': { meter: 'COAL-1', afterS: 5400 },
};

/** The requested faults, on meters of their own, in a fleet that starts at `startS`. */
export function planFaults(
  request: FaultRequest,
  fleet: readonly FleetPlant[],
  startS: number,
): readonly Fault[] {
  const at = (kind: FaultKind): { meter: string; atS: number } => {
    const { afterS, meter } = targets[kind];
    return { meter: senderOf(fleet, meter).meter, atS: startS + afterS };
  };
  const faults: Fault[] = [];
  if (request.tamper) faults.push({ kind: 'tamper', ...at('tamper') });
  if (request.replay) {
    faults.push({ kind: 'replay', ...at('replay'), other: senderOf(fleet, 'SOLAR-1') });
  }
  if (request.fork) faults.push({ kind: 'fork', ...at('fork') });
  if (request.registerReset) faults.push({ kind: 'register-reset', ...at('register-reset') });
  if (request.offlineS !== undefined) {
    const offline = at('offline');
    faults.push({ kind: 'offline', ...offline, untilS: offline.atS + request.offlineS });
  }
  if (request.clockDriftS !== undefined) {
    const drift = at('clock-drift');
    const { clockDriftS: driftS } = request;
    faults.push({ kind: 'clock-drift', ...drift, untilS: drift.atS + driftForS, driftS });
  }
  return faults;
}

function senderOf(
  fleet: readonly FleetPlant[],
  meter: string,
): { readonly plant: string; readonly meter: string } {
  const plant = fleet.find(({ meters }) => meters.some(({ id }) => id === meter));
  if (plant === undefined) throw new Refused('meter', `the fleet has no meter ${meter}`);
  return { plant: plant.id, meter };
}

/** `90s`, `30m`, `2h` or `1d` in seconds. Refused('duration'). */
export function parseDuration(text: string): number {
  const match = /^([1-9][0-9]{0,6})([smhd])$/.exec(text);
  const seconds = { s: 1, m: 60, h: 3600, d: 86400 }[match?.[2] ?? ''];
  if (match === null || seconds === undefined) {
    throw new Refused('duration', `${text} is not a duration such as 90s, 30m, 2h or 1d`);
  }
  return Number(match[1]) * seconds;
}
