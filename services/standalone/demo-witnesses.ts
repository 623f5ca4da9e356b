import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { utf8 } from '#core/bytes.ts';
import type { Signer } from '#core/signer.ts';
import { cosignatureType, ed25519Type, parseVkey, vkeyOf } from '#core/tlog/note.ts';
import type { Clock } from '#platform/clock.ts';
import { writeFileDurably } from '#platform/durable-file.ts';
import { createKeyFile, readKeyFile } from '#platform/keys.ts';
import type { Logger } from '#platform/logger.ts';
import { logAuditors } from '#witness/audit.ts';
import { createWitness, type Witness } from '#witness/service.ts';
import type { DataFolder } from './data-folder.ts';

/**
 * Three organisations that watch the demo's log, each with a key and a store of its own: two that
 * check that it only grows, and a regulator that replays every rule. Here they run in one process
 * with the log, over real sockets; `hourseal witness` runs one by itself.
 */
const parties = [
  { name: 'grid', keyName: 'witness.grid.example' },
  { name: 'buyers', keyName: 'witness.buyers.example' },
  { name: 'regulator', keyName: 'regulator.example/audit' },
] as const;

export interface DemoWitnesses {
  /** Submission URLs by vkey: the ports are free ones, other at each start. */
  readonly urls: ReadonlyMap<string, string>;
  readonly died: Promise<Error>;
  readonly stop: () => Promise<void>;
}

export interface WitnessKey {
  readonly name: string;
  readonly keyName: string;
  readonly vkey: string;
  readonly signer: Signer;
  readonly store: string;
}

/** Reads the witnesses' keys; with `create` makes those that are missing, as `demoKeys` does. */
export async function witnessKeys(
  folder: Pick<DataFolder, 'path'>,
  { create }: { create: boolean },
): Promise<readonly WitnessKey[]> {
  const keys: WitnessKey[] = [];
  for (const { name, keyName } of parties) {
    const place = join(folder.path, 'witnesses', name);
    if (create) await mkdir(place, { recursive: true, mode: 0o700 });
    const file = join(place, 'key.pem');
    const isMade = create && !existsSync(file);
    const signer = await (isMade ? createKeyFile(file, 'Ed25519') : readKeyFile(file));
    const vkey = vkeyOf(keyName, cosignatureType, signer);
    keys.push({ name, keyName, vkey, signer, store: join(place, 'store') });
  }
  return keys;
}

export function logVkey(origin: string, log: Signer): string {
  return vkeyOf(origin, ed25519Type, log);
}

/** Two of the three, and never without the one that audits (D3.4). */
export function demoPolicy(log: string, witnesses: readonly WitnessKey[]): string {
  const isAuditor = ({ keyName }: WitnessKey): boolean => keyName.endsWith('/audit');
  const names = (of: readonly WitnessKey[]): string => of.map(({ name }) => name).join(' ');
  return [
    `log ${log}`,
    ...witnesses.map(({ name, vkey }) => `witness ${name} ${vkey}`),
    `group growth any ${names(witnesses.filter((one) => !isAuditor(one)))}`,
    `group everybody all growth ${names(witnesses.filter(isAuditor))}`,
    'quorum everybody',
    '',
  ].join('\n');
}

/** Where a buyer of the demo's certificates finds whom to trust. */
export async function writePolicyFile(
  folder: Pick<DataFolder, 'path'>,
  policy: string,
): Promise<void> {
  await writeFileDurably(join(folder.path, 'policy'), utf8(policy));
}

export async function startWitnesses(
  keys: readonly WitnessKey[],
  { clock, log, logUrl, logger }: { clock: Clock; log: string; logUrl: string; logger: Logger },
): Promise<DemoWitnesses> {
  const logs = [{ key: parseVkey(log), url: logUrl }];
  const listen = { host: '127.0.0.1', port: 0 };
  const started: Witness[] = [];
  const stop = async (): Promise<void> => {
    for (const witness of started) await witness.stop();
  };
  const urls = new Map<string, string>();
  try {
    for (const { name, keyName, vkey, signer, store } of keys) {
      const own = logger.child({ service: `witness ${name}` });
      const audit = keyName.endsWith('/audit')
        ? { auditorOf: logAuditors({ signer, folder: store, clock, logger: own }) }
        : {};
      const context = { name: keyName, signer, folder: store, logs, clock, listen, logger: own };
      const witness = createWitness({ ...context, ...audit });
      await witness.start();
      started.push(witness);
      urls.set(vkey, witness.url());
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { urls, died: Promise.race(started.map(({ died }) => died)), stop };
}
