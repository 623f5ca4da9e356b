import { sha256 } from '#crypto';
import { utf8 } from '#core/bytes.ts';
import type { Signer } from '#core/signer.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import * as coal from './plants/coal.ts';
import * as factory from './plants/factory.ts';
import * as hydro from './plants/hydro.ts';
import { seedOf } from './plants/noise.ts';
import { exportRegister, importRegister, type RegisterModel } from './plants/plant.ts';
import { chargingImport } from './plants/charging.ts';
import { solarExport, solarImport } from './plants/solar.ts';
import { windExport, windImport } from './plants/wind.ts';

/** A meter of the fleet: what the log's `meter` and `key` entries say of it, and how it counts. */
export interface FleetMeter {
  readonly id: string;
  readonly role: 'production' | 'auxiliary' | 'consumption' | 'emission';
  readonly serial: string;
  readonly registers: readonly RegisterModel[];
  /** A key derived from the fleet's seed: for simulation only, everybody can derive it. */
  readonly signer: Signer;
}

export interface FleetPlant {
  readonly id: string;
  readonly name: string;
  readonly type: 'production' | 'consumption';
  readonly technology: 'solar' | 'wind' | 'hydro' | 'coal' | 'industry' | 'charging';
  readonly source: 'solar' | 'wind' | 'hydro' | 'coal' | 'none';
  readonly capacityW: number;
  readonly zone: string;
  /** 1e-7 degrees, east and north positive (D3). */
  readonly longitudeE7: number;
  readonly latitudeE7: number;
  readonly meters: readonly FleetMeter[];
}

interface Site {
  readonly id: string;
  readonly name: string;
  readonly longitudeE7: number;
  readonly latitudeE7: number;
}

/** All sites lie in one zone, so that the buyers' hours can be matched with the plants' (D4.5). */
const zone = 'CN-Northwest';
const utcOffsetS = 8 * 3600;

const sites = {
  solar: {
    id: 'solar-gonghe',
    name: 'Gonghe Solar',
    longitudeE7: 1006200000,
    latitudeE7: 362800000,
  },
  wind: { id: 'wind-guazhou', name: 'Guazhou Wind', longitudeE7: 957800000, latitudeE7: 405200000 },
  hydro: { id: 'hydro-bapan', name: 'Bapan Hydro', longitudeE7: 1034000000, latitudeE7: 361300000 },
  coal: {
    id: 'coal-lingwu',
    name: 'Lingwu Unit 1',
    longitudeE7: 1063400000,
    latitudeE7: 381000000,
  },
  factory: {
    id: 'works-lanzhou',
    name: 'Lanzhou Works',
    longitudeE7: 1038300000,
    latitudeE7: 360600000,
  },
  charging: {
    id: 'charge-xining',
    name: 'Xining Charging Park',
    longitudeE7: 1017800000,
    latitudeE7: 366200000,
  },
} as const satisfies Record<string, Site>;

/** The demo's plants: the same for the same seed, whenever and wherever it is asked. */
export function createFleet(seed: number): readonly FleetPlant[] {
  return [
    solarPlant(seed),
    windPlant(seed),
    hydroPlant(seed),
    coalPlant(seed),
    factorySite(seed),
    chargingSite(seed),
  ];
}

function solarPlant(seed: number): FleetPlant {
  const site = sites.solar;
  const place = { latitude: site.latitudeE7 / 1e7, longitude: site.longitudeE7 / 1e7 };
  const farm = { place, peakDcW: 65_000_000, capacityW: 50_000_000, standbyW: 25_000 };
  const own = seedOf(seed, site.id);
  const registers = [
    exportRegister(solarExport(own, farm)),
    importRegister(solarImport(own, farm)),
  ];
  return {
    ...site,
    zone,
    type: 'production',
    technology: 'solar',
    source: 'solar',
    capacityW: farm.capacityW,
    meters: [fleetMeter(seed, { id: 'SOLAR-1', role: 'production', registers })],
  };
}

function windPlant(seed: number): FleetPlant {
  const site = sites.wind;
  const farm = {
    capacityW: 99_000_000,
    scaleMps: 8.6,
    shape: 2.1,
    cutInMps: 3,
    ratedMps: 12,
    cutOutMps: 25,
    standbyW: 120_000,
  };
  const own = seedOf(seed, site.id);
  const registers = [exportRegister(windExport(own, farm)), importRegister(windImport(own, farm))];
  return {
    ...site,
    zone,
    type: 'production',
    technology: 'wind',
    source: 'wind',
    capacityW: farm.capacityW,
    meters: [fleetMeter(seed, { id: 'WIND-1', role: 'production', registers })],
  };
}

function hydroPlant(seed: number): FleetPlant {
  const site = sites.hydro;
  const river = {
    capacityW: 18_000_000,
    designFlow: 950,
    meanFlow: 560,
    leastFlow: 120,
    ownUseW: 140_000,
  };
  const own = seedOf(seed, site.id);
  const generator = [exportRegister(hydro.hydroExport(own, river)), importRegister(() => 0)];
  const auxiliary = [importRegister(hydro.hydroOwnUse(own, river))];
  return {
    ...site,
    zone,
    type: 'production',
    technology: 'hydro',
    source: 'hydro',
    capacityW: river.capacityW,
    meters: [
      fleetMeter(seed, { id: 'HYDRO-1', role: 'production', registers: generator }),
      fleetMeter(seed, { id: 'HYDRO-1-AUX', role: 'auxiliary', registers: auxiliary }),
    ],
  };
}

function coalPlant(seed: number): FleetPlant {
  const site = sites.coal;
  const unit = {
    capacityW: 660_000_000,
    leastShare: 0.4,
    fullGramsPerKwh: 815,
    leastGramsPerKwh: 905,
    standbyW: 6_000_000,
    utcOffsetS,
  };
  const own = seedOf(seed, site.id);
  const plain = { direction: 'none', digits: 15 } as const;
  const grid = [
    exportRegister(coal.coalExport(own, unit)),
    importRegister(coal.coalImport(own, unit)),
  ];
  const stack: readonly RegisterModel[] = [
    { ...plain, name: 'co2G', unit: 'g', partsPerUnit: 1000, rate: coal.coalCo2(own, unit) },
    {
      ...plain,
      name: 'operatingS',
      unit: 's',
      partsPerUnit: 1,
      rate: coal.coalOperating(own, unit),
    },
    { ...plain, name: 'validS', unit: 's', partsPerUnit: 1, rate: coal.coalValid(own, unit) },
  ];
  return {
    ...site,
    zone,
    type: 'production',
    technology: 'coal',
    source: 'coal',
    capacityW: unit.capacityW,
    meters: [
      fleetMeter(seed, { id: 'COAL-1', role: 'production', registers: grid }),
      fleetMeter(seed, { id: 'COAL-1-STACK', role: 'emission', registers: stack }),
    ],
  };
}

function factorySite(seed: number): FleetPlant {
  const site = sites.factory;
  const works = { fullW: 42_000_000, baseW: 9_000_000, utcOffsetS };
  const registers = [importRegister(factory.factoryImport(seedOf(seed, site.id), works))];
  return {
    ...site,
    zone,
    type: 'consumption',
    technology: 'industry',
    source: 'none',
    capacityW: 60_000_000,
    meters: [fleetMeter(seed, { id: 'WORKS-1', role: 'consumption', registers })],
  };
}

function chargingSite(seed: number): FleetPlant {
  const site = sites.charging;
  const park = { points: 24, pointW: 180_000, baseW: 12_000, utcOffsetS };
  const registers = [importRegister(chargingImport(seedOf(seed, site.id), park))];
  return {
    ...site,
    zone,
    type: 'consumption',
    technology: 'charging',
    source: 'none',
    capacityW: park.points * park.pointW + park.baseW,
    meters: [fleetMeter(seed, { id: 'CHARGE-1', role: 'consumption', registers })],
  };
}

function fleetMeter(
  seed: number,
  meter: Pick<FleetMeter, 'id' | 'role' | 'registers'>,
): FleetMeter {
  const signer = signerFromSeed(simulationSeed(seed, `meter/${meter.id}`));
  return { ...meter, serial: `SIM-${meter.id}`, signer };
}

/**
 * 32 bytes for a key of the simulation. Whoever knows the fleet's seed has these keys: nothing real
 * may ever be signed with them.
 */
export function simulationSeed(seed: number, purpose: string): Uint8Array {
  return sha256(utf8(`hourseal simulation only\n${seed}\n${purpose}`));
}
