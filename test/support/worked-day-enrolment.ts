import { testHash, testKey, testOrigin, testRules, testStartS, testVkey } from './log-builder.ts';
import {
  at,
  issuing,
  mill,
  millOwner,
  own,
  ownerOf,
  solar,
  solarOwner,
} from './worked-day-parties.ts';
import type { Day } from './worked-day-parties.ts';

const deadlineS = 2 * 3600;
const lateAfterS = 3 * 3600;
const stateEveryS = 6 * 3600;
const emissions = [
  {
    energy: 'generation',
    factor: { scope: 'solar', set: 'lifecycle', zone: '*' },
    method: 'calculated',
    plant: 'solar',
  },
];

/** The log, its rules, and two parties with their plants, meters and keys, at 10:00 sharp. */
export async function enrol({ enter, moveTo }: Day): Promise<void> {
  const genesis = {
    formatVersion: 1,
    ingestionKey: testKey('ingestion').jwk,
    issuers: { keys: [issuing.jwk], threshold: 1 },
    logKey: testVkey(),
    origin: testOrigin,
    rules: testRules,
  };
  await enter('genesis', { ...genesis, nonce: 'g1' }, [issuing]);
  const limits = { deadlineS, emissions, lateAfterS, stateEveryS };
  await enter('rules', { ...testRules, ...limits, version: 2, nonce: 'r1' }, [issuing]);
  await moveTo(at('10:00'));
  // As in test/vectors/entries.json, which was made from the design alone.
  const identity = 'a18cd8d4c450c6d9f709c8d9ba30657e8987e3d308616dca0e98c5e6504a4ccc';
  const party = { account: 'solar', custody: 'own', identity, jwk: solarOwner.jwk, role: 'plant' };
  await enter('account', { ...party, nonce: 'a1' }, [issuing, solarOwner]);
  const kept = { account: 'mill', custody: 'operator', role: 'buyer', jwk: millOwner.jwk };
  const millIdentity = { identity: testHash('mill'), nonce: 'a2' };
  await enter('account', { ...kept, ...millIdentity }, [issuing, millOwner]);
  const place = { capacityW: 1_000_000, latitude: 480_000_000, longitude: 110_000_000, zone: 'DE' };
  const plant = {
    ...place,
    account: 'solar',
    commissionedAt: testStartS - 30 * 86_400,
    disclosure: 'public',
    official: { EIC: '11WSOLAR-1-----V' },
    plant: 'solar',
    source: 'solar',
    technology: 'photovoltaic',
    type: 'production',
  };
  await enter('plant', { ...plant, nonce: 'p1' }, [issuing, solarOwner]);
  const site = {
    ...place,
    account: 'mill',
    commissionedAt: testStartS - 30 * 86_400,
    disclosure: 'committed',
    plant: 'mill',
    source: 'grid',
    technology: 'mill',
    type: 'consumption',
  };
  await enter('plant', { ...site, nonce: 'p2' }, [issuing, millOwner]);
  await enrolMeters({ enter });
}

async function enrolMeters({ enter }: Pick<Day, 'enter'>): Promise<void> {
  const feeds = { digits: 9, direction: 'export', obis: '1-0:2.8.0', unit: 'Wh' };
  const takes = { digits: 9, direction: 'import', obis: '1-0:1.8.0', unit: 'Wh' };
  const devices = [
    { of: solar, role: 'production', clock: 'reliable', serial: 'SN-0001', is: feeds },
    { of: own, role: 'auxiliary', clock: 'reliable', serial: 'SN-0002', is: takes },
    { of: mill, role: 'consumption', clock: 'unreliable', serial: 'SN-0100', is: takes },
  ];
  for (const [i, { of, role, clock, serial, is }] of devices.entries()) {
    const { meter, plant, register } = of;
    const spec = { clock, meter, plant, registers: { [register]: is }, role, serial };
    await enter('meter', { ...spec, nonce: `m${i + 1}` }, [issuing, ownerOf(plant)]);
  }
  for (const [i, { of }] of devices.entries()) {
    const { meter, plant, key } = of;
    const spec = { jwk: key.jwk, meter, notBefore: at('10:00'), plant };
    await enter('key', { ...spec, nonce: `k${i + 1}` }, [issuing, ownerOf(plant), key]);
  }
}
