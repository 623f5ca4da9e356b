/** Where the sun stands, for rules that inform people: floats, which no two engines need agree on. */

/** Degrees, north and east positive. */
export interface Place {
  readonly latitude: number;
  readonly longitude: number;
}

const j2000S = 946_728_000;
const dayS = 86_400;
const radians = Math.PI / 180;

const sin = (degrees: number): number => Math.sin(degrees * radians);
const cos = (degrees: number): number => Math.cos(degrees * radians);

/**
 * Height of the sun's centre above the horizon in degrees at `tS` (Unix seconds), geometric: without
 * refraction. Meeus, Astronomical Algorithms, chapters 12 and 25, low accuracy: within 0.02 degrees
 * from 1950 to 2050. UTC stands for dynamical time as well, in which the sun moves 0.001 degrees.
 */
export function sunElevation(tS: number, { latitude, longitude }: Place): number {
  const days = (tS - j2000S) / dayS;
  const centuries = days / 36_525;
  const { declination, rightAscension } = sunPosition(centuries);
  const siderealTime = 280.46061837 + 360.98564736629 * days + 0.000387933 * centuries ** 2;
  const hourAngle = siderealTime + longitude - rightAscension;
  const sine = sin(latitude) * sin(declination) + cos(latitude) * cos(declination) * cos(hourAngle);
  return Math.asin(Math.min(1, Math.max(-1, sine))) / radians;
}

/** Apparent right ascension and declination in degrees; Julian centuries since J2000.0. */
export function sunPosition(centuries: number): { declination: number; rightAscension: number } {
  const meanLongitude = 280.46646 + 36_000.76983 * centuries + 0.0003032 * centuries ** 2;
  const anomaly = 357.52911 + 35_999.05029 * centuries - 0.0001537 * centuries ** 2;
  const centre =
    (1.914602 - 0.004817 * centuries - 0.000014 * centuries ** 2) * sin(anomaly) +
    (0.019993 - 0.000101 * centuries) * sin(2 * anomaly) +
    0.000289 * sin(3 * anomaly);
  /** Of the moon's ascending node: nutation. */
  const node = 125.04 - 1934.136 * centuries;
  const longitude = meanLongitude + centre - 0.00569 - 0.00478 * sin(node);
  const obliquity = 23.4392911 - 0.0130042 * centuries + 0.00256 * cos(node);
  return {
    declination: Math.asin(sin(obliquity) * sin(longitude)) / radians,
    rightAscension: Math.atan2(cos(obliquity) * sin(longitude), cos(longitude)) / radians,
  };
}

/** Between two samples the sun climbs at most 2.5 degrees, and hardly at all near its height. */
const sampleS = 600;

/** Whether the sun stays below `degrees` from `fromS` to `toS`, ends included. */
export function isSunBelow(
  degrees: number,
  { fromS, toS }: { readonly fromS: number; readonly toS: number },
  place: Place,
): boolean {
  for (let tS = fromS; tS < toS; tS += sampleS) {
    if (sunElevation(tS, place) >= degrees) return false;
  }
  return sunElevation(toS, place) < degrees;
}
