import { describe, expect, test } from 'vitest';
import { toHex, uint32BE } from '#core/bytes.ts';
import { sha256 } from '#crypto';
import { emptyChain, extendChain } from '#core/energy/receipt.ts';
import { chainLimits, createChainAudit } from '#core/certificate/audit/chain-audit.ts';
import type { ChainStatement } from '#core/certificate/audit/chain-audit.ts';

const hashes = Array.from({ length: 10 }, (_, i) => sha256(uint32BE(i)));
const chains = hashes.reduce<Uint8Array[]>(
  (all, hash) => [...all, extendChain(all.at(-1) ?? emptyChain, hash)],
  [],
);
const hashOf = (seq: number): string => toHex(hashes[seq - 1] ?? emptyChain);
const chainOf = (seq: number): string => toHex(chains[seq - 1] ?? emptyChain);

const statement = (kid: string, throughSeq: number, chain: string): ChainStatement => ({
  index: 7,
  plant: 'p',
  start: 0,
  kid,
  throughSeq,
  chain,
});

describe('receipt chains through batch files', () => {
  test('hold in whatever order the batches come', () => {
    const audit = createChainAudit();
    for (const seq of [3, 4, 1]) audit.see('k', seq, hashOf(seq));
    audit.state(statement('k', 4, chainOf(4)));
    expect(audit.open()).toBe(1);
    audit.see('k', 2, hashOf(2));
    expect(audit.open()).toBe(0);
    audit.state(statement('k', 2, chainOf(2)));
    audit.state(statement('k', 0, toHex(emptyChain)));
    expect(audit.refuted()).toEqual([]);
  });

  test('are refuted once, when the messages are known', () => {
    const audit = createChainAudit();
    const wrong = statement('k', 2, chainOf(3));
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
    audit.state(statement('b', 1, chainOf(1)));
    expect(audit.open()).toBe(1);
  });

  test('that a correction states again are judged as far back as chains are kept', () => {
    const audit = createChainAudit({ ...chainLimits, passed: 2 });
    for (let seq = 1; seq <= 5; seq++) audit.see('k', seq, hashOf(seq));
    audit.state(statement('k', 4, chainOf(3)));
    expect(audit.refuted()).toHaveLength(1);
    audit.state(statement('k', 3, chainOf(2)));
    expect(audit.refuted()).toEqual([]);
    expect(audit.open()).toBe(1);
  });

  test.each([
    ['of one key', { waitingOfKey: 3 }],
    ['of all keys', { waiting: 3 }],
  ])('of a key with a gap are given up beyond a limit %s, and others go on', (_name, limits) => {
    const audit = createChainAudit({ ...chainLimits, ...limits });
    audit.state(statement('k', 6, chainOf(5)));
    for (const seq of [3, 4, 5, 6]) audit.see('k', seq, hashOf(seq));
    audit.see('k', 1, hashOf(1));
    audit.see('k', 2, hashOf(2));
    audit.state(statement('k', 2, chainOf(2)));
    expect(audit.open()).toBe(2);
    for (const seq of [2, 3, 1]) audit.see('other', seq, hashOf(seq));
    audit.state(statement('other', 3, chainOf(2)));
    expect(audit.refuted()).toMatchObject([{ kid: 'other' }]);
  });

  test('wait in bounded number', () => {
    const audit = createChainAudit({ ...chainLimits, statements: 1 });
    for (const seq of [1, 2]) audit.state(statement('k', seq, chainOf(3)));
    for (const seq of [1, 2]) audit.see('k', seq, hashOf(seq));
    expect(audit.refuted()).toHaveLength(1);
    expect(audit.open()).toBe(1);
  });
});
