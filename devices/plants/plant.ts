/** Whole parts per second at an instant (Unix seconds): watts, milligrams per second, or 1 for "on". */
export type Rate = (tS: number) => number;

/** A register that a simulated meter carries: what the log's `meter` entry says, and how it grows. */
export interface RegisterModel {
  readonly name: string;
  /** OBIS code (IEC 62056-6-1), for what has one. */
  readonly obis?: string;
  readonly unit: 'Wh' | 'g' | 's';
  readonly direction: 'export' | 'import' | 'none';
  /** Decimal digits of the register before it would roll over. */
  readonly digits: number;
  readonly partsPerUnit: number;
  readonly rate: Rate;
}

/** Where a site lies. Degrees, east and north positive. */
export interface Place {
  readonly latitude: number;
  readonly longitude: number;
}

export function exportRegister(powerW: Rate): RegisterModel {
  return { ...energy, name: 'exportWh', obis: '1-0:2.8.0', direction: 'export', rate: powerW };
}

export function importRegister(powerW: Rate): RegisterModel {
  return { ...energy, name: 'importWh', obis: '1-0:1.8.0', direction: 'import', rate: powerW };
}

const energy = { unit: 'Wh', digits: 15, partsPerUnit: 3600 } as const;

/** Hour of the local day as a fraction, 0 to 24. */
export function localHour(tS: number, utcOffsetS: number): number {
  return ((((tS + utcOffsetS) % 86400) + 86400) % 86400) / 3600;
}

/** Day of the local week, 0 = Monday. Day 0 of Unix time was a Thursday. */
export function localWeekday(tS: number, utcOffsetS: number): number {
  const day = Math.floor((tS + utcOffsetS) / 86400) + 3;
  return ((day % 7) + 7) % 7;
}
