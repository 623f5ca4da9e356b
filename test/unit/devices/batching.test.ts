import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildMessage } from '#core/energy/message.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import { splitReadings } from '#devices/batching.ts';

const hourS = 1_780_002_000 - (1_780_002_000 % 3600);
const reading = (t: number) => ({ t, registers: { exportWh: 1 } });
const signer = signerFromSeed(new Uint8Array(32).fill(1));

describe('cutting readings into messages', () => {
  it('keeps the reading at the turn of the hour with what came before it', () => {
    const ts = [hourS + 3500, hourS + 3600, hourS + 3660];
    const parts = splitReadings(ts.map(reading));
    expect(parts.map((part) => part.map(({ t }) => t - hourS))).toEqual([[3500, 3600], [3660]]);
  });

  it('makes messages that are accepted, in order, losing none', () => {
    const steps = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 20 }), (gaps, most) => {
        let t = hourS;
        const readings = gaps.map((gap) => reading((t += gap)));
        const parts = splitReadings(readings, most);
        expect(parts.flat()).toEqual(readings);
        for (const part of parts) {
          expect(part.length).toBeLessThanOrEqual(most);
          const message = {
            v: 1,
            log: 'l',
            plant: 'p',
            meter: 'm',
            seq: 1,
            readings: part,
          } as const;
          expect(() => buildMessage(signer, message)).not.toThrow();
        }
      }),
    );
  });

  it('makes nothing of nothing', () => {
    expect(splitReadings([])).toEqual([]);
  });
});
