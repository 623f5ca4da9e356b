import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { generate, parser } from 'mqtt-packet';
import { afterAll, expect, test } from 'vitest';
import { buildConnect } from '#core/energy/connect.ts';
import { buildMessage, messagesTopic } from '#core/energy/message.ts';
import { canonicalText } from '#core/jcs.ts';
import { backoffMs } from '#devices/backoff.ts';
import { systemClock } from '#platform/clock.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Signer } from '#core/signer.ts';
import { describeWhereAllowed, type Need } from '#support/needs.ts';
import { onPostgres } from '#support/postgres.ts';
import { rssPeakMiB } from '#support/rss.ts';
import { insertLogSetting, testLog, testSigner } from '#support/register.ts';
import { freePort } from '../kill-process.ts';

const connections = 5_000;
/** The broker's own, beside its connections: the database, files, and what Node needs. */
const otherFiles = 200;
/** What broker and ingestion may hold together, as services/broker/README.md says. */
const mostRssMiB = 600;
const plant = 'fleet';
const audience = 'fleet-broker';
const child = fileURLToPath(new URL('./serve.child.ts', import.meta.url));
const project = fileURLToPath(new URL('../../..', import.meta.url));
/** As a gateway has them, and a gateway's patience. */
const backoff = { firstMs: 1_000, mostMs: 60_000, random: Math.random };
const connectTimeoutMs = 20_000;
/** For a test that hangs: on a busy machine two processes take their time over 20,000 signatures. */
const hangLimitMs = 1_200_000;

/** As many files as the connections take, in each of the two processes. Node takes all it may. */
function openFiles(): Need {
  const { stdout } = spawnSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' });
  const most = stdout.trim() === 'unlimited' ? Infinity : Number(stdout);
  const reason = `${most} open files, fewer than ${connections + otherFiles}: raise ulimit -n`;
  return most < connections + otherFiles ? { reason } : { path: 'sh', reason };
}

interface Meter {
  readonly meter: string;
  readonly signer: Signer;
}

const registerSql = `
  with fleet as (insert into plant (plant, spec) values ('${plant}', '{}') returning plant_id),
       given as (select * from unnest($1::text[], $2::text[], $3::text[]) as u (meter, kid, jwk)),
       made as (insert into meter (meter, plant_id, spec)
                select meter, plant_id, '{}' from given, fleet returning meter, meter_id)
  insert into meter_key (kid, meter_id, jwk, not_before, version)
  select g.kid, m.meter_id, g.jwk::jsonb, 0, 1 from given g join made m using (meter)`;

async function register(pool: Pool): Promise<readonly Meter[]> {
  const meters = Array.from({ length: connections }, (_, i) => {
    const meter = `fleet-${i}`;
    return { meter, signer: testSigner(meter) };
  });
  await pool.run(registerSql, [
    meters.map(({ meter }) => meter),
    meters.map(({ signer }) => signer.kid),
    meters.map(({ signer }) => canonicalText(signer.jwk)),
  ]);
  return meters;
}

async function startServer(database: string, port: number): Promise<ChildProcess> {
  const server = spawn(process.execPath, ['--import', 'tsx', child], {
    cwd: project,
    env: { ...process.env, DATABASE: database, PORT: String(port), AUDIENCE: audience },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await Promise.race([
    once(server.stdout, 'data'),
    once(server, 'exit').then(() => {
      throw new Error('the broker did not start');
    }),
  ]);
  return server;
}

/** One meter: connects until it is let in, publishes one message, stays. */
async function comeBack(
  { meter, signer }: Meter,
  { port, seq, from }: { readonly port: number; readonly seq: number; readonly from: number },
): Promise<{ readonly attempts: number; readonly lost: Promise<unknown> }> {
  const jws = buildMessage(signer, {
    v: 1,
    log: testLog,
    plant,
    meter,
    seq,
    readings: [{ t: from + seq, registers: { exportWh: seq } }],
  });
  for (let attempts = 1; ; attempts++) {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    const lost = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => undefined);
    const reading = parser();
    const acknowledged = new Promise<boolean>((resolve) => {
      reading.on('packet', (packet) => {
        if (packet.cmd === 'puback') resolve(true);
        if (packet.cmd !== 'connack') return;
        if (packet.returnCode !== 0) socket.destroy();
        else {
          const topic = messagesTopic(plant, meter);
          const once1 = { qos: 1, messageId: 1, retain: false, dup: false } as const;
          socket.write(generate({ cmd: 'publish', topic, payload: jws, ...once1 }));
        }
      });
      void lost.then(() => resolve(false));
    });
    const late = setTimeout(() => socket.destroy(), connectTimeoutMs);
    socket.on('data', (chunk: Buffer) => reading.parse(chunk));
    const password = buildConnect(signer, { aud: audience, iat: systemClock.nowS(), sub: meter });
    socket.write(
      generate({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clean: true,
        keepalive: 600,
        clientId: meter,
        username: meter,
        password: Buffer.from(password),
      }),
    );
    const done = await acknowledged;
    clearTimeout(late);
    if (done) return { attempts, lost };
    await sleep(backoffMs(attempts - 1, backoff));
  }
}

describeWhereAllowed(openFiles(), `a fleet of ${connections} connections`, () => {
  onPostgres('comes back at once', (start) => {
    let server: ChildProcess | undefined;
    afterAll(() => {
      server?.kill('SIGKILL');
    });

    test(
      'and all are served, in bounded memory',
      async () => {
        const { connectionString, pool } = await start();
        await insertLogSetting(pool);
        const meters = await register(pool);
        const port = await freePort();
        const from = systemClock.nowS() - 1_000;
        for (const seq of [1, 2]) {
          server = await startServer(connectionString, port);
          const began = performance.now();
          const back = await Promise.all(
            meters.map((meter) => comeBack(meter, { port, seq, from })),
          );
          const tookS = Math.round((performance.now() - began) / 100) / 10;
          const attempts = back.map((one) => one.attempts);
          const heldMiB = rssPeakMiB(server.pid ?? 0);
          const most = Math.max(...attempts);
          process.stdout.write(
            `${connections} connections, signed passwords, one message each: ${tookS} s, ` +
              `${most} attempts at most, broker and ingestion held ${Math.round(heldMiB)} MiB\n`,
          );
          expect(heldMiB).toBeLessThan(mostRssMiB);
          const { n } = await pool.row<{ n: number }>('select count(*) as n from message');
          expect(n).toBe(seq * connections);
          // All at once: so they come back.
          server.kill('SIGKILL');
          await Promise.all(back.map(({ lost }) => lost));
        }
      },
      hangLimitMs,
    );
  });
});
