import { describe, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { parseMessage } from '#core/energy/message.ts';
import { buildMessage } from '#core/energy/message.ts';
import { verifyJws } from '#core/jws.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { parseDuration, planFaults } from '#devices/fault-plan.ts';
import {
  afterReset,
  alteredAfterSigning,
  createWire,
  describeFault,
  drifted,
  faultKinds,
  forkOf,
  type Fault,
} from '#devices/faults.ts';
import { createFleet } from '#devices/fleet.ts';

const startS = Date.UTC(2026, 5, 1) / 1000;
const fleet = createFleet(1);
const signer = fleet[0]?.meters[0]?.signer;
if (signer === undefined) throw new Error('the fleet is empty');
const key = parsePublicJwk(signer.jwk);
const readings = [
  { t: startS + 60, registers: { exportWh: 100, importWh: 1 } },
  { t: startS + 120, registers: { exportWh: 200, importWh: 1 } },
];
const sender = { plant: 'solar-gonghe', meter: 'SOLAR-1', signer };

function message(seq: number, shiftS = 0): string {
  const moved = drifted(readings, shiftS);
  const { meter, plant } = sender;
  return buildMessage(sender.signer, { v: 1, log: 'l', plant, meter, seq, readings: moved });
}

const everything: readonly Fault[] = planFaults(
  { tamper: true, replay: true, fork: true, registerReset: true, offlineS: 7200, clockDriftS: 600 },
  fleet,
  startS,
);

describe('faults', () => {
  it('alter a reading after it was signed: the form holds, the signature does not', () => {
    const altered = parseMessage(utf8(alteredAfterSigning(message(1))));
    expect(altered.message.readings[1]?.registers).toEqual({ exportWh: 1_000_200, importWh: 1 });
    expect(() => {
      verifyJws(altered.jws, key);
    }).toThrow(expect.objectContaining({ code: 'signature' }));
  });

  it('fork: the same number, another reading, and the signature holds', () => {
    const forked = parseMessage(utf8(forkOf(sender.signer, message(4))));
    expect(forked.message.seq).toBe(4);
    expect(forked.hash).not.toEqual(parseMessage(utf8(message(4))).hash);
    expect(() => {
      verifyJws(forked.jws, key);
    }).not.toThrow();
  });

  it('shift the clock, and start registers again, without touching what they were given', () => {
    const before = structuredClone(readings);
    expect(drifted(readings, 600).map(({ t }) => t)).toEqual([startS + 660, startS + 720]);
    const reset = afterReset(readings, startS + 120, { exportWh: 180, importWh: 1 });
    expect(reset.map(({ registers }) => registers)).toEqual([
      { exportWh: 100, importWh: 1 },
      { exportWh: 20, importWh: 0 },
    ]);
    expect(readings).toEqual(before);
  });

  it('strike once, at the right message, and always let the genuine one through', () => {
    const atS = startS + 120;
    const faults: Fault[] = [
      { kind: 'tamper', meter: 'SOLAR-1', atS },
      { kind: 'fork', meter: 'SOLAR-1', atS },
      { kind: 'replay', meter: 'SOLAR-1', atS, other: { plant: 'wind', meter: 'WIND-1' } },
      { kind: 'tamper', meter: 'WIND-1', atS },
    ];
    const wire = createWire(sender, faults);
    const topic = 'hourseal/v1/solar-gonghe/SOLAR-1/messages';
    const earlier = message(1, -120);
    expect(wire(earlier)).toEqual([{ topic, jws: earlier }]);
    expect(wire(message(2))).toEqual([
      { topic, jws: alteredAfterSigning(message(2)) },
      { topic, jws: message(2) },
      { topic, jws: forkOf(sender.signer, message(2)) },
      { topic, jws: earlier },
      { topic: 'hourseal/v1/wind/WIND-1/messages', jws: earlier },
    ]);
    expect(wire(message(2))).toEqual([{ topic, jws: message(2) }]);
    expect(wire(message(3, 120))).toHaveLength(1);
  });

  it('are planned on meters of their own, and each is described in words', () => {
    expect(everything.map(({ kind }) => kind).sort()).toEqual([...faultKinds].sort());
    expect(new Set(everything.map(({ meter }) => meter)).size).toBe(everything.length);
    for (const fault of everything) {
      expect(describeFault(fault)).toMatch(new RegExp(`^${fault.meter}: .{20,}`));
      expect((fault.atS - startS) % 60).toBe(0);
    }
    expect(planFaults({}, fleet, startS)).toEqual([]);
    expect(() => planFaults({ tamper: true }, [], startS)).toThrow('no meter');
  });

  it.each([
    ['90s', 90],
    ['30m', 1800],
    ['2h', 7200],
    ['1d', 86400],
  ])('read %s as %i seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  it.each(['', '2', 'h', '0h', '-1h', '2 h', '2h ', '1.5h', '2w', '12345678s'])(
    'refuse the duration "%s"',
    (text) => {
      expect(() => parseDuration(text)).toThrow(expect.objectContaining({ code: 'duration' }));
    },
  );
});
