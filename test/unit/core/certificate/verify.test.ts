import { expect, it } from 'vitest';
import { verifyProof } from '#core/certificate/verify.ts';
import { honestProof } from '#support/proof-builder.ts';

it('x', () => {
  const file = honestProof({});
  const t = performance.now();
  let n = 0;
  for (let i = 0; i < file.length; i+=20) {
    const c = Uint8Array.from(file); c[i]! ^= 1 << (i % 8);
    expect(verifyProof(c).result).toBe('failed'); n++;
  }
  console.log(n, (performance.now() - t) / n);
});
