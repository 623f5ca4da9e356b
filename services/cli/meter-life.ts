import { exchangeBody, meterChangeBody } from '#core/certificate/specs/register.ts';
import { Refused } from '#core/errors.ts';
import { changeMeter, endKey, endMeter, exchangeMeter } from '#ledger/meter-desk.ts';
import type { Terminal } from '#platform/terminal.ts';
import { atDesk, type RegisterOptions } from './entering.ts';
import { readJson } from './register.ts';

/** What happens to a meter and to its keys after they were entered (D3.3). */

/** `hourseal meter exchange`: the old device's closing values, the new one's opening values. */
export async function enterExchange(
  file: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  const exchange = await readJson(file, exchangeBody);
  return atDesk(options, terminal, async (desk) => [await exchangeMeter(desk, exchange)]);
}

/** `hourseal meter change`: its class, clock or metering point. */
export async function enterChange(
  file: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  const change = await readJson(file, meterChangeBody);
  return atDesk(options, terminal, async (desk) => [await changeMeter(desk, change)]);
}

export interface EndMeterOptions extends RegisterOptions {
  /** Such as `exportWh=1234,importWh=5`. */
  readonly closing: string;
  /** Unix seconds; now by default. */
  readonly at?: number;
}

/** `hourseal meter end`: for ever, with what its registers show. */
export function enterEnd(
  meter: string,
  { closing, at, ...options }: EndMeterOptions,
  terminal: Terminal,
): Promise<number> {
  const values = registerValues(closing);
  return atDesk(options, terminal, async (desk) => {
    const endsAt = at ?? desk.clock.nowS();
    return [await endMeter(desk, { closing: values, endsAt, meter })];
  });
}

function registerValues(text: string): Record<string, number> {
  const values = new Map<string, number>();
  for (const pair of text.split(',')) {
    const [, name = '', value] = /^([A-Za-z0-9._-]+)=([0-9]{1,16})$/.exec(pair) ?? [];
    if (value === undefined || values.has(name)) {
      throw new Refused('closing', `${text} is no list of values such as exportWh=1234,importWh=5`);
    }
    values.set(name, Number(value));
  }
  return Object.fromEntries(values);
}

export interface EndKeyOptions extends RegisterOptions {
  readonly lastSeq: number;
  readonly lastT: number;
}

/** `hourseal meter end-key`. */
export function enterKeyEnd(
  kid: string,
  { lastSeq, lastT, ...options }: EndKeyOptions,
  terminal: Terminal,
): Promise<number> {
  return atDesk(options, terminal, async (desk) => [await endKey(desk, { kid, lastSeq, lastT })]);
}
