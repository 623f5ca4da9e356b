import { sha256 } from '#crypto';
import { toHex, utf8 } from '#core/bytes.ts';
import { signedDraft, type SignedDraft } from '#core/certificate/entry.ts';
import { ed25519Type, formatVkey } from '#core/tlog/note.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import type { FleetMeter, FleetPlant } from '#devices/fleet.ts';

/**
 * What the demo enters into its log before the first reading: the same entries, signed by the same
 * parties, that a real installation needs. Every party has a key of its own.
 */
export interface DemoParties {
  readonly origin: string;
  readonly log: Signer;
  readonly ingestion: Signer;
  readonly issuer: Signer;
  /** The account that owns a plant, by plant id. */
  readonly account: (plant: string) => Signer;
}

/** Signatures made now are good for a day of the demo's clock. */
const signatureLifeS = 86_400;

const kindsInForce = [
  'account',
  'cancel',
  'decision',
  'exchange',
  'fork',
  'freeze',
  'hour',
  'hour-correction',
  'key',
  'key-end',
  'meter',
  'plant',
  'plant-change',
  'rules',
  'unfreeze',
  'void',
];

/** The thresholds that the design proposes (D4); coal measures, but nobody is certified for it. */
export const demoRules = {
  capacityPpm: 1_100_000,
  correctWithinS: 45 * 86_400,
  deadlineS: 86_400,
  eligibleSources: ['hydro', 'solar', 'wind'],
  futureS: 120,
  kinds: kindsInForce,
  lateAfterS: 45 * 86_400,
  version: 1,
};

export function genesisDraft(parties: DemoParties, nowS: number): SignedDraft {
  const { origin, issuer, ingestion, log } = parties;
  const publicKey = parsePublicJwk(log.jwk).raw;
  const spec = {
    formatVersion: 1,
    ingestionKey: ingestion.jwk,
    issuers: { keys: [issuer.jwk], threshold: 1 },
    logKey: formatVkey({ name: origin, type: ed25519Type, publicKey }),
    nonce: 'genesis',
    notAfter: nowS + signatureLifeS,
    origin,
    rules: demoRules,
  };
  return signedDraft({ kind: 'genesis', origin, spec }, [issuer]);
}

/** Account, plant, meters and keys of one plant of the fleet, in the order they must be entered. */
export function enrolmentDrafts(
  parties: DemoParties,
  plant: FleetPlant,
  nowS: number,
): readonly SignedDraft[] {
  const { origin, issuer } = parties;
  const owner = parties.account(plant.id);
  const notAfter = nowS + signatureLifeS;
  const signed = (name: string) => ({ nonce: `${plant.id}.${name}`, notAfter });
  const sign = (kind: string, spec: object, signers: readonly Signer[]): SignedDraft =>
    signedDraft({ kind, origin, spec }, signers);
  const both = [issuer, owner];
  return [
    sign('account', { ...accountOf(plant, owner), ...signed('account') }, both),
    sign('plant', { ...plantOf(plant, nowS), ...signed('plant') }, both),
    ...plant.meters.flatMap((meter) => [
      sign('meter', { ...meterOf(plant, meter), ...signed(`meter.${meter.id}`) }, both),
      sign('key', { ...keyOf(plant, meter, nowS), ...signed(`key.${meter.id}`) }, [
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
