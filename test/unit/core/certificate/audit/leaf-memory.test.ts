import { describe, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { createLeafMemory } from '#core/certificate/audit/leaf-memory.ts';
import { encodeMessageLeaf, parseMessageLeaf } from '#core/energy/batch.ts';
import { buildMessage } from '#core/energy/message.ts';
import { Refused } from '#core/errors.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import { leafHash } from '#core/tlog/tree.ts';

const signer = signerFromSeed(new Uint8Array(32).fill(7));
const leafOf = (seq: number): Uint8Array => {
  const readings = [{ registers: { exportWh: seq }, t: 1_700_000_000 }];
  const message = { log: 'log.example', meter: 'm', plant: 'p', readings, seq, v: 1 } as const;
  return encodeMessageLeaf({
    receivedAt: 1_700_000_001,
    bytes: utf8(buildMessage(signer, message)),
  });
};

describe('the memory of leaves', () => {
  it('says of a leaf what parsing it says, and says it once', () => {
    const parse = createLeafMemory();
    const [one, two] = [leafOf(1), leafOf(2)];
    const first = parse(one, leafHash(one));
    expect(first).toEqual(parseMessageLeaf(one));
    expect(parse(two, leafHash(two)).parsed.message.seq).toBe(2);
    expect(parse(one.slice(), leafHash(one))).toBe(first);
  });

  it('keeps nothing of the file that the leaf lies in', () => {
    const leaf = leafOf(1);
    const file = new Uint8Array(1_000_000);
    file.set(leaf, 500_000);
    const within = file.subarray(500_000, 500_000 + leaf.length);
    const { bytes, parsed } = createLeafMemory()(within, leafHash(within));
    expect(bytes.buffer.byteLength).toBe(leaf.length);
    expect(parsed.jws.signingInput.buffer.byteLength).toBe(leaf.length);
  });

  it('forgets the oldest beyond its limit, and parses it again', () => {
    const leaves = [1, 2, 3].map(leafOf);
    const parse = createLeafMemory((leaves[0]?.length ?? 0) * 2);
    const [first, second] = leaves.map((leaf) => parse(leaf, leafHash(leaf)));
    const again = leaves.map((leaf) => parse(leaf, leafHash(leaf)));
    expect(again[0]).not.toBe(first);
    expect(again[0]).toEqual(first);
    expect(again[1]).not.toBe(second);
  });

  it('holds not even one that is above the limit', () => {
    const parse = createLeafMemory(10);
    const leaf = leafOf(1);
    expect(parse(leaf, leafHash(leaf))).not.toBe(parse(leaf, leafHash(leaf)));
  });

  it('refuses a leaf that is none, however often it is asked', () => {
    const parse = createLeafMemory();
    const leaf = utf8('nothing');
    expect(() => parse(leaf, leafHash(leaf))).toThrow(Refused);
    expect(() => parse(leaf, leafHash(leaf))).toThrow(Refused);
  });
});
