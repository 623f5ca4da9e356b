import { expect } from 'vitest';
import type { Consumption } from '#core/energy/matching/question.ts';
import type { Claim } from '#core/energy/reports/claim.ts';

export const hour = 1_767_225_600;
export const nextHour = hour + 3600;

/** `wh` units of a series from 1 on, claimed for the point `mill` in the hour that generated them. */
export function claim(series: string, wh: number, more: Partial<Claim> = {}): Claim {
  return {
    cancelledAt: hour + 86_400,
    from: 1,
    generationHour: hour,
    generationZone: 'DE',
    hour,
    point: 'mill',
    procurement: 'unbundled',
    series: `energy/${series}`,
    to: wh,
    zone: 'DE',
    ...more,
  };
}

export function load(wh: number, more: Partial<Consumption> = {}): Consumption {
  return { hour, point: 'mill', wh, zone: 'DE', ...more };
}

export const refusing = (code: string): unknown => expect.objectContaining({ code });
