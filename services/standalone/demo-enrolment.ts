import { sha256 } from '#crypto';
import { toHex, utf8 } from '#core/bytes.ts';
import { signedDraft, type SignedDraft } from '#core/certificate/entry.ts';
import type { Signer } from '#core/signer.ts';
import type { FleetMeter, FleetPlant } from '#devices/fleet.ts';

/**
 * Who enters the demo's plants before the first reading: the same parties as in a real installation,
 * each with a key of its own.
 */
export interface DemoParties {
  readonly origin: string;
  readonly issuer: Signer;
  /** The account that owns a plant, by plant id. */
  readonly account: (plant: string) => Signer;
}

/** Signatures made now are good for a day of the demo's clock. */
const signatureLifeS = 86_400;

/** Account, plant, meters and keys of one plant of the fleet, in the order they must be entered. */
export function enrolmentDrafts(
  parties: DemoParties,
  plant: FleetPlant,
  nowS: number,
): readonly SignedDraft[] {
  const { origin, issuer } = parties;
  const owner = parties.account(plant.id);
  const notAfter = nowS + signatureLifeS;
  const signed = (name: string) => ({ nonce: `${plant.id}_${name}`, notAfter });
  const sign = (kind: string, spec: object, signers: readonly Signer[]): SignedDraft =>
    signedDraft({ kind, origin, spec }, signers);
  const both = [issuer, owner];
  return [
    sign('account', { ...accountOf(plant, owner), ...signed('account') }, both),
    sign('plant', { ...plantOf(plant, nowS), ...signed('plant') }, both),
    ...plant.meters.flatMap((meter) => [
      sign('meter', { ...meterOf(plant, meter), ...signed(`meter_${meter.id}`) }, both),
      sign('key', { ...keyOf(plant, meter, nowS), ...signed(`key_${meter.id}`) }, [
        ...both,
        meter.signer,
      ]),
    ]),
  ];
}

function accountOf(plant: FleetPlant, owner: Signer): object {
  return {
    account: plant.id,
    custody: 'own',
    identity: toHex(sha256(utf8(`demo salt\n${plant.name}`))),
    jwk: owner.jwk,
    role: plant.type === 'production' ? 'plant' : 'buyer',
  };
}

function plantOf(plant: FleetPlant, nowS: number): object {
  return {
    account: plant.id,
    capacityW: plant.capacityW,
    commissionedAt: nowS,
    disclosure: plant.type === 'production' ? 'public' : 'committed',
    latitude: plant.latitudeE7,
    longitude: plant.longitudeE7,
    plant: plant.id,
    source: plant.source,
    technology: plant.technology,
    type: plant.type,
    zone: plant.zone,
  };
}

function meterOf(plant: FleetPlant, meter: FleetMeter): object {
  return {
    clock: 'reliable',
    meter: meter.id,
    plant: plant.id,
    registers: Object.fromEntries(
      meter.registers.map(({ name, obis, unit, direction, digits }) => [
        name,
        { digits, direction, unit, ...(obis === '' ? {} : { obis }) },
      ]),
    ),
    role: meter.role,
    serial: meter.serial,
  };
}

function keyOf(plant: FleetPlant, meter: FleetMeter, nowS: number): object {
  return { jwk: meter.signer.jwk, meter: meter.id, notBefore: nowS, plant: plant.id };
}
