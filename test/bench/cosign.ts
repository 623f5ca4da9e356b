import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { buildMessage } from '#core/energy/message.ts';
import { parseVkey } from '#core/tlog/note.ts';
import { createFileServer } from '#ledger/file-server.ts';
import { createLedger, type Ledger } from '#ledger/service.ts';
import { manualClock, type Clock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { testLog, testSigner } from '#support/register.ts';
import { testStartS } from '#support/test-ledger.ts';
import { logAuditors } from '#witness/audit.ts';
import { createWitness, type Witness } from '#witness/service.ts';
import type { Say, Scale } from './figure.ts';
import { benchVerification } from './proof-verify.ts';

/** From a sealed hour to its cosigned checkpoint, with 3 of 4 witnesses, one auditing (D7, row 5). */

const sizes: Readonly<Record<Scale, { plants: number; hours: number }>> = {
  s: { plants: 10, hours: 6 },
  m: { plants: 100, hours: 24 },
  l: { plants: 100, hours: 240 },
};
const messagesPerHour = 15;
/** Not counted: a ledger that has just started compiles its code and opens its connections. */
const warmUpHours = 1;
const hourS = 3_600;
const logger = createLogger({ name: 'bench', level: 'error' });
const names = ['one', 'two', 'three', 'four/audit'] as const;

export async function benchCosigning(
  pool: Pool,
  { scale, say }: { scale: Scale; say: Say },
): Promise<void> {
  const { plants, hours } = sizes[scale];
  const root = mkdtempSync(join(tmpdir(), 'hourseal-bench-cosign-'));
  const clock = manualClock(testStartS * 1000);
  const folder = join(root, 'log');
  const listen = { host: '127.0.0.1', port: 0 };
  const files = createFileServer({ folder, listen, clock });
  await files.start();
  const witnesses: Witness[] = [];
  try {
    for (const name of names)
      witnesses.push(await startWitness(name, { root, clock, url: files.url() }));
    const ledger = createLedger({
      pool,
      clock,
      signer: people.logSigner,
      folder,
      secretsFolder: join(root, 'secrets'),
      logger,
    });
    const plantNames = Array.from({ length: plants }, (_, i) => `p${i}`);
    await ledger.submit([
      people.genesis(),
      people.signed('policy', { policy: policyOf(witnesses) }),
      ...plantNames.flatMap((name) => people.simplePlant(name)),
    ]);
    await ledger.step();
    await ledger.enterState();
    const latenciesMs: number[] = [];
    for (let hour = 0; hour < warmUpHours + hours; hour++) {
      await insertMessages(
        pool,
        plantNames.flatMap((plant) => messagesOf(plant, hour)),
      );
      await clock.advance((testStartS + (hour + 1) * hourS + 10) * 1000);
      const startedAt = performance.now();
      let step = await ledger.step();
      const { treeSize, sealed } = step;
      while (step.publishedSize < treeSize) step = await ledger.step();
      const elapsedMs = performance.now() - startedAt;
      if (hour >= warmUpHours) latenciesMs.push(...sealed.map(() => elapsedMs));
    }
    latenciesMs.sort((a, b) => a - b);
    say({
      case: `sealed hour to cosigned by 3 of 4, one auditing, p99 (${plants} plants, ${messagesPerHour} messages an hour)`,
      value: latenciesMs[Math.floor(latenciesMs.length * 0.99)] ?? 0,
      unit: 'ms',
      bar: 2_000,
    });
    await ledger.enterState();
    await ledger.step();
    await benchProofs(ledger, {
      plants: plantNames,
      policy: policyOf(witnesses),
      say,
    });
  } finally {
    for (const witness of witnesses) await witness.stop();
    await files.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

/** One certificate after the other, by one published checkpoint, and its offline verification. */
async function benchProofs(
  ledger: Ledger,
  { plants, policy, say }: { plants: readonly string[]; policy: string; say: Say },
): Promise<void> {
  const proofs = await ledger.proofs();
  const files: Uint8Array[] = [];
  const builtAt = performance.now();
  for (const plant of plants) {
    const parts = await proofs.collect({ series: `energy/${plant}`, from: 1, to: 100 });
    files.push(encodeProof(parts));
  }
  const each = (performance.now() - builtAt) / files.length;
  say({ case: 'a proof file built', value: each, unit: 'ms', bar: 5 });
  benchVerification(files, { policy, say });
}

async function startWitness(
  name: (typeof names)[number],
  { root, clock, url }: { root: string; clock: Clock; url: string },
): Promise<Witness> {
  const signer = testSigner(`bench witness ${name}`);
  const isAuditing = name.endsWith('/audit');
  const witness = createWitness({
    name: `bench.example/${name}`,
    signer,
    folder: join(root, name),
    logs: [{ key: parseVkey(people.logVkey), url }],
    clock,
    listen: { host: '127.0.0.1', port: 0 },
    logger,
    ...(isAuditing && {
      auditorOf: logAuditors({ signer, folder: join(root, name), clock, logger }),
    }),
  });
  await witness.start();
  return witness;
}

function policyOf(witnesses: readonly Witness[]): string {
  return [
    `log ${people.logVkey}`,
    ...witnesses.map(({ vkey, url }, i) => `witness w${i} ${vkey} ${url()}`),
    'group growth 2 w0 w1 w2',
    'group everybody all growth w3',
    'quorum everybody',
    '',
  ].join('\n');
}

/** The last reading of an hour is at its end, so that it is complete with these. */
function messagesOf(plant: string, hour: number): { jws: string }[] {
  const signer = people.meterSigner(`${plant}-m`);
  const stepS = hourS / messagesPerHour;
  return Array.from({ length: messagesPerHour }, (_, i) => {
    const seq = hour * messagesPerHour + i + 1;
    const t = testStartS + hour * hourS + (i + 1) * stepS;
    const first = hour === 0 && i === 0 ? [{ registers: { exportWh: 0 }, t: testStartS }] : [];
    const readings = [...first, { registers: { exportWh: seq * 100 }, t }];
    return {
      jws: buildMessage(signer, { log: testLog, meter: `${plant}-m`, plant, readings, seq, v: 1 }),
    };
  });
}
