import { randomUUID } from 'node:crypto';
import { parsePublicJwk } from '#core/keys.ts';
import { openFileStore } from '#devices/file-store.ts';
import { createGateway } from '#devices/gateway.ts';
import { meterSigner } from '#support/log-people.ts';
import { ingestionSigner, testLog } from '#support/register.ts';
import { acceleratedClock, audience, readingEveryS, startS } from '../../faults/kill-world.ts';

/**
 * A gateway of meter `p1-m` in a process of its own, to be killed: takes a reading every minute of an
 * accelerated clock, the last at `untilS`, and says 'done' once a receipt is there for all of them.
 */
const [folder = '', url = '', beganMs = '', untilS = ''] = process.argv.slice(2);
const clock = acceleratedClock({ beganMs: Number(beganMs) });
const signer = meterSigner('p1-m');
const store = await openFileStore(folder, { meter: 'p1-m', kid: signer.kid });
const gateway = createGateway({
  url,
  plant: 'p1',
  meter: 'p1-m',
  origin: testLog,
  audience,
  signer,
  store,
  ingestionKeys: [parsePublicJwk(ingestionSigner.jwk)],
  clock,
  random: Math.random,
  tokenId: randomUUID,
  onEvent: (event) => {
    if (event.kind === 'failed' || event.kind === 'receipt-refused') {
      process.stderr.write(`${JSON.stringify(event)}\n`);
    }
  },
});
gateway.start();
const first = Math.max(startS, store.state().lastT + readingEveryS);
for (let t = first; t <= Number(untilS); t += readingEveryS) {
  if (t > clock.nowS()) await clock.sleep((t - clock.nowS()) * 1000);
  await gateway.record([{ t, registers: { exportWh: t - startS } }]);
}
await gateway.settled('receipted', AbortSignal.timeout(30_000));
process.stdout.write('done\n');
