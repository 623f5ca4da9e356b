import { signedDraft } from '#core/certificate/entry.ts';
import { Failed } from '#core/errors.ts';
import { systemClock } from '#platform/clock.ts';
import type { Terminal } from '#platform/terminal.ts';
import type { Installation } from '#standalone/installation.ts';
import { once } from '#ledger/meter-desk.ts';
import { enter, inInstallation, issuerKey, type RegisterOptions } from './entering.ts';

export interface FreezeOptions extends RegisterOptions {
  readonly reason: string;
  readonly next?: string;
}

/** How often witnesses that have not answered yet are asked before the command gives up. */
const rounds = 12;

/**
 * `hourseal log freeze`: a last `state`, then `log-close`, then a checkpoint that every witness of the
 * policy has cosigned. Where one does not answer, the log is closed all the same, and the same command
 * goes on asking; nothing is entered twice.
 */
export async function freezeLog(options: FreezeOptions, terminal: Terminal): Promise<number> {
  return inInstallation(options, async (installation) => {
    const { ledger } = installation;
    if ((await ledger.settings()).isClosed) terminal.out('the log is closed already\n');
    else await close(installation, options, terminal);
    const missing = await askEverybody(installation);
    if (missing.length > 0) {
      throw new Failed(
        'not-cosigned',
        `closed, but not yet cosigned by ${missing.join(', ')}: run this again`,
      );
    }
    terminal.out(
      `frozen, and cosigned by everybody. Copy it with: hourseal log export --data ${options.data} --to FOLDER\n`,
    );
  });
}

async function close(
  installation: Installation,
  { reason, next }: FreezeOptions,
  terminal: Terminal,
): Promise<void> {
  const { ledger } = installation;
  const { origin } = await ledger.settings();
  await ledger.step();
  if (await ledger.enterState()) terminal.out('the last state is entered\n');
  // Published before anything follows it: proofs rest on a checkpoint that ends with a state (D3.5).
  await ledger.step();
  const spec = { ...(next !== undefined && { next }), reason, ...once(installation) };
  const signers = [await issuerKey(installation)];
  await enter(installation, [signedDraft({ kind: 'log-close', origin, spec }, signers)], terminal);
}

/** Names of the witnesses that have not cosigned the last checkpoint. */
async function askEverybody({ ledger }: Installation): Promise<readonly string[]> {
  for (let round = 1; ; round++) {
    await ledger.step();
    const missing = await ledger.complete();
    if (missing.length === 0 || round === rounds) return missing;
    await systemClock.sleep(1_000 * Math.min(round, 5));
  }
}
