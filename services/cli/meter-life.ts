import { signedDraft } from '#core/certificate/entry.ts';
import { exchangeBody } from '#core/certificate/kinds.ts';
import { Refused } from '#core/errors.ts';
import { readMeterOfKey } from '#ingestion/meter-status.ts';
import type { Terminal } from '#platform/terminal.ts';
import type { Installation } from '#standalone/installation.ts';
import { accountKey, enter, inInstallation, issuerKey, once } from './entering.ts';
import type { RegisterOptions } from './entering.ts';
import { ownerOf, readJson } from './register.ts';

/** What happens to a meter and to its keys after they were entered (D3.3 `exchange`, `key-end`). */

/** `hourseal meter exchange`: the old device's closing values, the new one's opening values. */
export async function exchangeMeter(
  file: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  const exchange = await readJson(file, exchangeBody);
  return inInstallation(options, (installation) =>
    enterOfMeter(installation, {
      meter: exchange.meter,
      kind: 'exchange',
      spec: exchange,
      terminal,
    }),
  );
}

export interface EndKeyOptions extends RegisterOptions {
  readonly lastSeq: number;
  readonly lastT: number;
}

/**
 * `hourseal meter end-key`: what the key signed up to `lastSeq` and `lastT` stays good, whenever it
 * arrives; nothing beyond. After a rotation, the old key's; after a theft, the last that is believed.
 */
export function endKey(kid: string, options: EndKeyOptions, terminal: Terminal): Promise<number> {
  const { lastSeq, lastT } = options;
  return inInstallation(options, async (installation) => {
    const meter = await readMeterOfKey(installation.pool, kid);
    if (meter === undefined) throw new Refused('key', `no meter key ${kid} is in the log`);
    const spec = { kid, lastSeq, lastT };
    await enterOfMeter(installation, { meter, kind: 'key-end', spec, terminal });
  });
}

async function enterOfMeter(
  installation: Installation,
  {
    meter,
    kind,
    spec,
    terminal,
  }: { meter: string; kind: string; spec: object; terminal: Terminal },
): Promise<void> {
  const { origin, plants, meters } = await installation.ledger.settings();
  const plant = meters.get(meter);
  if (plant === undefined) throw new Refused('meter', `no meter ${meter} is in the log`);
  const signers = [
    await issuerKey(installation),
    await accountKey(installation, ownerOf(plants, plant)),
  ];
  const action = { kind, origin, spec: { ...spec, ...once(installation) } };
  await enter(installation, [signedDraft(action, signers)], terminal);
}
