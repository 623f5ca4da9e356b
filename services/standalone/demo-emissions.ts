import type { EmissionRule } from '#core/certificate/specs/emissions.ts';

/**
 * The coal unit of the demo has a record of its emissions. Its monitor is calibrated for 20 minutes of
 * every day, so one hour of each is substituted. At most it emits what 660 MW do at their worst, 905
 * g/kWh.
 */
export const demoEmissions: readonly EmissionRule[] = [
  {
    maxGramsPerHour: 597_300_000,
    method: 'measured',
    plant: 'coal-lingwu',
    regime: '40-cfr-75',
  },
];
