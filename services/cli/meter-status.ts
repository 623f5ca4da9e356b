import { instantText } from '#core/energy/hours.ts';
import { Refused } from '#core/errors.ts';
import { parseDuration } from '#devices/fault-plan.ts';
import { readMeterStatus, statusLimitRows, type KeyStatus } from '#ingestion/meter-status.ts';
import { exitCodes, type Style, type Terminal } from '#platform/terminal.ts';
import { inDatabase, type RegisterOptions } from './entering.ts';

export interface StatusOptions extends RegisterOptions {
  /** A key is silent that has sent nothing for so long, such as 2h. */
  readonly silentAfter: string;
  readonly json?: boolean;
}

/**
 * `hourseal meter status`: when each key was last heard, what is missing, how its clock is. Ends with
 * 4 where something asks for attention.
 */
export async function showMeterStatus(
  meter: string | undefined,
  options: StatusOptions,
  terminal: Terminal,
): Promise<number> {
  const silentAfterS = parseDuration(options.silentAfter);
  let attention = 0;
  const ended = await inDatabase(options, async ({ pool, clock }) => {
    const all = await readMeterStatus(pool, { meter, nowS: clock.nowS(), silentAfterS });
    if (all.length === 0 && meter !== undefined) {
      throw new Refused('meter', `no meter ${meter} with a key is in the log`);
    }
    for (const status of all) {
      terminal.out(
        options.json === true ? `${JSON.stringify(status)}\n` : describe(status, terminal),
      );
      if (isTrouble(status)) attention++;
    }
    if (all.length === statusLimitRows) terminal.err(`the first ${statusLimitRows} of them\n`);
  });
  return attention > 0 ? exitCodes.undecided : ended;
}

function isTrouble({ state, missing, clock }: KeyStatus): boolean {
  return state === 'frozen' || state === 'silent' || missing > 0 || clock === 'ahead';
}

function describe(status: KeyStatus, { style }: Terminal): string {
  const { plant, meter, kid, state, last, missing, maxSeq, clock } = status;
  const heard =
    last === undefined
      ? ['never heard']
      : [
          `message ${maxSeq} came ${instantText(last.receivedAt)}, read ${instantText(last.readingAt)}`,
          ...(last.code === undefined ? [] : [`quarantined: ${last.code}`]),
        ];
  const notes = [
    ...(missing > 0 ? [style.amber(`${missing} missing`)] : []),
    ...(clock === 'ahead' ? [style.amber('clock ahead')] : []),
    ...(clock === 'unsynced' ? ['clock not synced'] : []),
  ];
  const head = `${paint(style)[state](state.padEnd(6))}  ${style.bold(`${plant}/${meter}`)}  ${kid}`;
  return `${head}\n        ${[...heard, ...notes].join('; ')}\n`;
}

function paint(style: Style): Readonly<Record<KeyStatus['state'], (text: string) => string>> {
  return { active: style.green, ended: style.faint, frozen: style.red, silent: style.amber };
}
