import { describe, expect, test } from 'vitest';
import { toHex, uint32BE } from '#core/bytes.ts';
import { sha256 } from '#crypto';
import { emptyChain, extendChain } from '#core/energy/receipt.ts';
import { createChainAudit } from '#ledger/chain-audit.ts';

const hashes = Array.from({ length: 10 }, (_, i) => sha256(uint32BE(i)));
const chains = hashes.reduce<Uint8Array[]>(
  (all, hash) => [...all, extendChain(all.at(-1) ?? emptyChain, hash)],
  [],
);
const hashOf = (seq: number): string => toHex(hashes[seq - 1] ?? emptyChain);
const chainOf = (seq: number): string => toHex(chains[seq - 1] ?? emptyChain);

describe('receipt chains through batch files', () => {
  test('hold in whatever order the batches come', () => {
    const audit = createChainAudit();
    for (const seq of [3, 4, 1]) audit.see('k', seq, hashOf(seq));
    audit.state({ index: 7, kid: 'k', throughSeq: 4, chain: chainOf(4) });
    expect(audit.open()).toBe(1);
    audit.see('k', 2, hashOf(2));
    expect(audit.open()).toBe(0);
    audit.state({ index: 8, kid: 'k', throughSeq: 2, chain: chainOf(2) });
    audit.state({ index: 8, kid: 'k', throughSeq: 0, chain: toHex(emptyChain) });
    expect(audit.refuted()).toEqual([]);
  });

  test('are refuted once, when the messages are known', () => {
    const audit = createChainAudit();
    const wrong = { index: 7, kid: 'k', throughSeq: 2, chain: chainOf(3) };
    audit.state(wrong);
    audit.see('k', 2, hashOf(2));
    expect(audit.refuted()).toEqual([]);
    audit.see('k', 1, hashOf(1));
    expect(audit.refuted()).toEqual([wrong]);
    expect(audit.refuted()).toEqual([]);
  });

  test('of one key say nothing of another', () => {
    const audit = createChainAudit();
    audit.see('a', 1, hashOf(1));
    audit.state({ index: 1, kid: 'b', throughSeq: 1, chain: chainOf(1) });
    expect(audit.open()).toBe(1);
  });
});
