import { encodeProof } from '#core/certificate/proof/proof.ts';
import { testKey, testStartS } from '../log-builder.ts';
import { createProofLog, solarSeries as series } from '../proof-builder.ts';
import { cosigners, underEach } from './proofs.ts';
import type { Question } from './program.ts';

/** Proof files of an hour with meters of every role, and what their registers may be. */

const hourS = 3600;
const halfHourS = 1800;

interface Device {
  /** Where it is not the device's own name. */
  readonly role?: string;
  readonly registers: object;
  /** At the start, the half and the end of the hour. */
  readonly values: readonly Readonly<Record<string, number>>[];
}

const energy = (direction: 'export' | 'import', more: object = {}) => ({
  direction,
  unit: 'Wh',
  ...more,
});
const other = (unit: 'g' | 's') => ({ direction: 'none', unit });

/** The production register turns over within the hour. */
const devices: Readonly<Record<string, Device>> = {
  production: {
    registers: {
      co2G: other('g'),
      exportWh: energy('export', { digits: 4, multiplier: 2 }),
      importWh: energy('import'),
      operatingS: other('s'),
      validS: other('s'),
    },
    values: [
      { co2G: 10, exportWh: 9900, importWh: 1, operatingS: 0, validS: 0 },
      { co2G: 20, exportWh: 9990, importWh: 2, operatingS: 1700, validS: 1700 },
      { co2G: 40, exportWh: 80, importWh: 3, operatingS: 3500, validS: 3500 },
    ],
  },
  consumption: {
    registers: { importWh: energy('import') },
    values: [{ importWh: 100 }, { importWh: 150 }, { importWh: 230 }],
  },
  emission: {
    registers: { co2G: other('g'), operatingS: other('s'), validS: other('s') },
    values: [
      { co2G: 5, operatingS: 0, validS: 0 },
      { co2G: 6, operatingS: 1800, validS: 1500 },
      { co2G: 9, operatingS: 3600, validS: 3000 },
    ],
  },
  /** It weighs, and says nothing of how well. */
  scale: {
    role: 'emission',
    registers: { co2G: other('g'), operatingS: other('s') },
    values: [
      { co2G: 0, operatingS: 0 },
      { co2G: 0, operatingS: 1 },
      { co2G: 1, operatingS: 2 },
    ],
  },
  check: {
    registers: { exportWh: energy('export'), importWh: energy('import') },
    values: [
      { exportWh: 0, importWh: 0 },
      { exportWh: 1, importWh: 0 },
      { exportWh: 2, importWh: 1 },
    ],
  },
  storage: {
    registers: { exportWh: energy('export'), importWh: energy('import') },
    values: [
      { exportWh: 0, importWh: 0 },
      { exportWh: 1, importWh: 0 },
      { exportWh: 2, importWh: 1 },
    ],
  },
};

/** Storage makes a plant issue nothing: there the file is of units that a dishonest log claims. */
export function roleProofs(): Question[] {
  const roles = Object.keys(devices);
  const monitored = roles.filter((role) => role !== 'scale');
  const without = monitored.filter((role) => role !== 'storage');
  const claimed = { deficit: 0, issued: { from: 1, to: 100 }, netted: 0 };
  return [
    ...underEach('every role but storage', hourOf(without)),
    ...underEach('every role', hourOf(monitored, claimed)),
    ...underEach('an emission meter without its seconds', hourOf([...without, 'scale'])),
  ];
}

function hourOf(names: readonly string[], certificates?: object): Uint8Array {
  const made = createProofLog();
  const { log, send } = made;
  log.genesis();
  log.account('solar');
  log.plant('solar');
  for (const name of names) {
    const { registers, values, role = name } = devices[name] ?? { registers: {}, values: [] };
    const signer = testKey(`${name} of two curves`, name === 'emission' ? 'ES256' : 'Ed25519');
    log.meter(name, { registers, role });
    log.key(name, { jwk: signer.jwk });
    const readings = values.map((shown, i) => ({
      registers: shown,
      t: testStartS + i * halfHourS,
    }));
    send(name, readings, { signer });
  }
  log.time = testStartS + 2 * hourS;
  const { judgement } = made.seal('solar', testStartS, certificates && { certificates });
  const hour = judgement.ref.index;
  made.state();
  return encodeProof(made.parts({ series, from: 1, to: 100 }, { cosigners, hour }));
}
