import { toBase64Url, utf8 } from '#core/bytes.ts';
import {
  buildMessage,
  messagesTopic,
  parseMessage,
  type Message,
  type Reading,
} from '#core/energy/message.ts';
import { canonicalBytes } from '#core/jcs.ts';
import type { Signer } from '#core/signer.ts';

/**
 * What can go wrong with a meter, on request. `atS` and `untilS` are Unix seconds of the simulated
 * day. Wire faults act on what leaves the device; the others on what it measures or whether it sends.
 */
export type Fault =
  | { readonly kind: 'tamper'; readonly meter: string; readonly atS: number }
  | {
      readonly kind: 'replay';
      readonly meter: string;
      readonly atS: number;
      readonly other: Sender;
    }
  | { readonly kind: 'fork'; readonly meter: string; readonly atS: number }
  | { readonly kind: 'register-reset'; readonly meter: string; readonly atS: number }
  | {
      readonly kind: 'offline';
      readonly meter: string;
      readonly atS: number;
      readonly untilS: number;
    }
  | {
      readonly kind: 'clock-drift';
      readonly meter: string;
      readonly atS: number;
      readonly untilS: number;
      /** How far the meter's clock runs ahead, s. */
      readonly driftS: number;
    };

export type FaultKind = Fault['kind'];
export const faultKinds = [
  'tamper',
  'replay',
  'fork',
  'offline',
  'clock-drift',
  'register-reset',
] as const satisfies readonly FaultKind[];

/** A plant and one of its meters: what a topic names. */
export interface Sender {
  readonly plant: string;
  readonly meter: string;
}

/** What goes to the broker: one packet. */
export interface Publication {
  readonly topic: string;
  readonly jws: string;
}

/** One line for people: what is being done, and what should come of it. */
export function describeFault(fault: Fault): string {
  const { meter } = fault;
  switch (fault.kind) {
    case 'tamper':
      return `${meter}: a reading is altered after it was signed; the altered copy must be refused`;
    case 'replay':
      return `${meter}: an old message is sent again, also as if from ${fault.other.meter}; it must count once`;
    case 'fork':
      return `${meter}: one number, two different signed messages; its key must be frozen`;
    case 'offline':
      return `${meter}: offline for ${(fault.untilS - fault.atS) / 60} minutes; it stores, and sends later`;
    case 'clock-drift':
      return `${meter}: its clock runs ${fault.driftS} s ahead; readings from the future must wait`;
    case 'register-reset':
      return `${meter}: its registers start again at 0; the hour must be disputed, not paid`;
  }
}

/** The same header and signature over other readings: the first register of the last reading grows. */
export function alteredAfterSigning(jws: string): string {
  const { message } = parseMessage(utf8(jws));
  const [header = '', , signature = ''] = jws.split('.');
  return `${header}.${toBase64Url(canonicalBytes(withOtherReading(message)))}.${signature}`;
}

/** The same `seq` with another reading, correctly signed by the same key. */
export function forkOf(signer: Signer, jws: string): string {
  return buildMessage(signer, withOtherReading(parseMessage(utf8(jws)).message));
}

/** 1 MWh more in the first register of the last reading. */
function withOtherReading(message: Message): Message {
  const last = message.readings.at(-1);
  const [name, value] = Object.entries(last?.registers ?? {})[0] ?? [];
  if (last === undefined || name === undefined || value === undefined) {
    throw new RangeError('a message without readings');
  }
  const other = { ...last, registers: { ...last.registers, [name]: value + 1_000_000 } };
  return { ...message, readings: [...message.readings.slice(0, -1), other] };
}

/** The readings as a meter whose clock runs `driftS` ahead would stamp them. */
export function drifted(readings: readonly Reading[], driftS: number): readonly Reading[] {
  return readings.map((reading) => ({ ...reading, t: reading.t + driftS }));
}

/** The readings of a meter whose registers started again at 0 when they stood at `baseline`. */
export function afterReset(
  readings: readonly Reading[],
  atS: number,
  baseline: Readonly<Record<string, number>>,
): readonly Reading[] {
  return readings.map((reading) => {
    if (reading.t < atS) return reading;
    const registers = Object.entries(reading.registers).map(
      ([name, value]) => [name, value - (baseline[name] ?? 0)] as const,
    );
    return { ...reading, registers: Object.fromEntries(registers) };
  });
}

/** Whether a fault with a duration is on at an instant. */
export function isOn(fault: { atS: number; untilS: number }, tS: number): boolean {
  return tS >= fault.atS && tS < fault.untilS;
}

/**
 * What really leaves the device for one stored message, in order. A wire fault strikes once, at the
 * message whose readings reach over `atS` (an instant of the reading grid): a strike may cost the
 * connection, and what is sent again must get through. The genuine message always leaves too, so that
 * its `seq` leaves no gap.
 */
export function createWire(
  sender: Sender & { readonly signer: Signer },
  faults: readonly Fault[],
): (jws: string) => readonly Publication[] {
  const topic = messagesTopic(sender.plant, sender.meter);
  const own = faults.filter((fault) => fault.meter === sender.meter);
  const struck = new Set<Fault>();
  let oldest: string | undefined;

  return (jws) => {
    oldest ??= jws;
    const { readings } = parseMessage(utf8(jws)).message;
    const publications: Publication[] = [{ topic, jws }];
    for (const fault of own) {
      if (struck.has(fault) || !reachesOver(readings, fault.atS)) continue;
      struck.add(fault);
      if (fault.kind === 'tamper') publications.unshift({ topic, jws: alteredAfterSigning(jws) });
      if (fault.kind === 'fork') publications.push({ topic, jws: forkOf(sender.signer, jws) });
      if (fault.kind === 'replay') {
        const { plant, meter } = fault.other;
        publications.push({ topic, jws: oldest });
        publications.push({ topic: messagesTopic(plant, meter), jws: oldest });
      }
    }
    return publications;
  };
}

function reachesOver(readings: readonly Reading[], atS: number): boolean {
  const [first, last] = [readings[0], readings.at(-1)];
  return first !== undefined && last !== undefined && first.t <= atS && atS <= last.t;
}
