import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import { hourSeconds, hourStartOf } from '#core/energy/hours.ts';
import { parseCheckpoint } from '#core/tlog/checkpoint.ts';
import { parseNote } from '#core/tlog/note.ts';
import { openInstallation } from '#standalone/installation.ts';
import { createProofFiles } from '#standalone/proof-files.ts';
import { startCli } from '#support/cli.ts';
import { describeWith, program } from '#support/needs.ts';
import { enterKeyByOpenssl, environment, hourseal, install } from './installation.ts';
import { meter, origin, plant } from './installation.ts';

const run = promisify(execFile);
const script = fileURLToPath(
  new URL('../../devices/examples/publish-with-openssl.sh', import.meta.url),
);
const needs = [
  program('openssl', 'openssl'),
  program('bash', 'bash'),
  program('mosquitto_pub', 'mosquitto-clients'),
];
const folder = mkdtempSync(join(tmpdir(), 'hourseal-openssl-e2e-'));
const audience = 'broker.example';
const sealLimitMs = 60_000;
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function publishedSize(): Promise<number> {
  const bytes = await readFile(join(folder, 'data/log/checkpoint'));
  return parseCheckpoint(parseNote(bytes).text).size;
}

async function publish(port: string, t: number, exportWh: number): Promise<void> {
  const where = ['--host', '127.0.0.1', '--port', port, '--audience', audience, '--log', origin];
  const who = ['--key', 'meter.pem', '--plant', plant, '--meter', meter];
  const registers = ['--register', `exportWh=${exportWh}`, '--register', 'importWh=7'];
  const reading = [...registers, '--time', String(t)];
  await run(script, [...who, ...where, ...reading], { cwd: folder, timeout: 30_000 });
}

describeWith(needs, 'a meter made of openssl and mosquitto_pub', () => {
  it('gets from its key to a certificate through the commands of the README', async () => {
    // Enrolled more than two hours ago, so that the last whole hour is one of the plant's life.
    const place = { folder, shiftS: -(2 * hourSeconds + 300) };
    await install(place);
    await enterKeyByOpenssl(place);
    const sizeBefore = await publishedSize();

    const server = startCli(['serve', '--data', 'data'], {
      cwd: folder,
      env: { ...environment({ folder }), BROKER_PORT: '0', BROKER_NAME: audience },
    });
    try {
      const [, port = ''] = await server.said(/"port":(\d+)[^\n]*"ready"/);
      const start = hourStartOf(Math.floor(Date.now() / 1000)) - hourSeconds;
      await publish(port, start, 1_000_000);
      await publish(port, start + 1_800, 1_400_000);
      await publish(port, start + hourSeconds, 2_234_567);
      const limit = Date.now() + sealLimitMs;
      while ((await publishedSize()) === sizeBefore && Date.now() < limit) await setTimeout(100);
      expect(await publishedSize()).toBe(sizeBefore + 1);
    } finally {
      server.child.kill('SIGTERM');
    }
    expect(await server.ended).toMatchObject({ code: 0 });

    const proof = await writeProof();
    const verdict = verifyProof(await readFile(proof));
    expect(verdict.bundle).toEqual({ series: `energy/${plant}`, from: 1, to: 1_234_567 });
    expect(verdict.steps.filter(({ result }) => result === 'fail')).toEqual([]);
    expect(verdict.steps.map(({ result }) => result)).toContain('pass');
    expect([0, 4]).toContain((await hourseal({ folder }, 'verify', proof)).code);
    expect(await hourseal({ folder }, 'log', 'audit', '--data', 'data')).toMatchObject({ code: 0 });
  });
});

/** As the demo does for every range that is issued. */
async function writeProof(): Promise<string> {
  const installation = await openInstallation(join(folder, 'data'), { databaseUrl: undefined });
  try {
    const proofs = createProofFiles({
      ledger: installation.ledger,
      pool: installation.pool,
      folder: installation.folder.proofs,
    });
    await proofs.write();
    expect(proofs.count()).toBe(1);
    return proofs.latest() ?? '';
  } finally {
    await installation.close();
  }
}
