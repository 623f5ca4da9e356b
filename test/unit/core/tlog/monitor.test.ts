import { describe, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { Failed } from '#core/errors.ts';
import { signCheckpoint } from '#core/tlog/checkpoint.ts';
import { openSignedState, type SignedState } from '#core/tlog/equivocation.ts';
import { concludeRound, type Conclusion } from '#core/tlog/monitor.ts';
import {
  emptyMemory,
  freshStates,
  memoryLimits,
  pairsToCompare,
  relate,
  type Memory,
  type RelatedPair,
  type Seen,
} from '#core/tlog/monitored-states.ts';
import { ed25519Type, noteSigner, verifierKeyOf } from '#core/tlog/note.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import type { HashReader } from '#core/tlog/proof.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { memoryReader } from '#support/evidence-examples.ts';
import { testKey, testOrigin, testVkey } from '#support/log-builder.ts';

const key = verifierKeyOf(testOrigin, ed25519Type, testKey('log'));
const policy = parsePolicy(`log ${testVkey()}\nquorum none\n`);
const leaves = Array.from({ length: 400 }, (_, i) => leafHash(utf8(`entry ${i}`)));

function state(size: number, tree = leaves): SignedState {
  const checkpoint = { origin: testOrigin, size, root: treeRoot(tree.slice(0, size)) };
  const note = signCheckpoint(checkpoint, [noteSigner(testOrigin, testKey('log'))]);
  return openSignedState(note, { logs: [key], witnesses: [] });
}

const forked = (common: number) =>
  leaves.map((leaf, i) => (i < common ? leaf : leafHash(utf8(`other ${i}`))));

/** A round in which the log shows the tiles of `tree`, or none at all. */
async function round(
  memory: Memory,
  seen: Partial<Seen>,
  tree: readonly Uint8Array[] | 'none' = leaves,
): Promise<Conclusion> {
  const all: Seen = { shown: undefined, cosigned: [], ...seen };
  const nothing: HashReader = () => Promise.reject(new Failed('tile-missing', 'there is no tile'));
  const relations: RelatedPair[] = [];
  for (const pair of pairsToCompare(memory, all)) {
    const readerOf = (size: number): HashReader =>
      tree === 'none' ? nothing : memoryReader(tree.slice(0, size));
    relations.push({ ...pair, relation: await relate(pair, readerOf) });
  }
  return concludeRound(memory, { ...all, policy, relations });
}

const sizes = (states: readonly SignedState[]): number[] => states.map(({ size }) => size);

describe('what a monitor remembers', () => {
  it('is the newest head, and those before it, ever fewer the older they are', async () => {
    let memory = emptyMemory;
    for (let size = 1; size <= 150; size++) {
      memory = (await round(memory, { shown: state(size) })).memory;
    }
    expect(memory.head?.size).toBe(150);
    expect(memory.open).toEqual([]);
    expect(memory.past.length).toBeLessThanOrEqual(memoryLimits.past);
    expect(sizes(memory.past).slice(-20)).toEqual(Array.from({ length: 20 }, (_, i) => 130 + i));
    expect(sizes(memory.past)[0]).toBe(1);
  });

  it('is bounded, and says what it does not keep', async () => {
    const cosigned = Array.from({ length: memoryLimits.open + 6 }, (_, i) => ({
      witness: `w${i}`,
      state: state(i + 101),
    }));
    const { memory, alarms } = await round(
      { ...emptyMemory, head: state(5) },
      { cosigned },
      'none',
    );
    expect(memory.open).toHaveLength(memoryLimits.open);
    expect(alarms.join()).toContain('6 signed states more than are remembered');
  });

  it('keeps of open states of one history only the largest', async () => {
    const before = { ...emptyMemory, head: state(5), open: [state(8), state(11)] };
    const { memory } = await round(before, { cosigned: [{ witness: 'one', state: state(14) }] });
    expect([memory.head?.size, sizes(memory.open)]).toEqual([5, [14]]);
  });

  it('does not change by what is seen once more', async () => {
    const memory: Memory = { head: state(9), past: [state(4)], open: [], witnesses: { one: 9 } };
    const seen = { shown: state(9), cosigned: [{ witness: 'one', state: state(9) }] };
    expect(freshStates(memory, seen)).toEqual([]);
    expect(pairsToCompare(memory, seen)).toEqual([]);
    expect(await round(memory, seen, 'none')).toEqual({
      memory,
      contradictions: [],
      alarms: [],
      notes: [],
    });
  });
});

describe('what a monitor concludes', () => {
  it('is no contradiction where the tiles are gone, and one where they are back', async () => {
    const other = forked(6);
    const memory = { ...emptyMemory, head: state(9) };
    const blind = await round(memory, { shown: state(12, other) }, 'none');
    expect([blind.contradictions, blind.memory.head?.size]).toEqual([[], 9]);
    expect(blind.alarms.join()).toContain('not proved: there is no tile');
    expect(sizes(blind.memory.open)).toEqual([12]);
    const again = await round(blind.memory, { shown: state(12, other) }, other);
    expect(again.contradictions).toHaveLength(1);
    expect(again.memory.head?.size).toBe(9);
  });

  it('is a contradiction between two witnesses, whatever the log shows', async () => {
    const cosigned = [
      { witness: 'one', state: state(12) },
      { witness: 'two', state: state(12, forked(3)) },
    ];
    const { contradictions } = await round(emptyMemory, { cosigned }, 'none');
    expect(contradictions).toHaveLength(1);
    expect(contradictions[0]?.boundary).toBeUndefined();
  });

  it('is nothing of an empty tree, with which every tree is consistent', async () => {
    const { memory } = await round({ ...emptyMemory, head: state(0) }, { shown: state(3) }, 'none');
    expect([memory.head?.size, sizes(memory.past)]).toEqual([3, [0]]);
  });

  it('never moves the head to a smaller one', async () => {
    const { memory, alarms } = await round({ ...emptyMemory, head: state(9) }, { shown: state(4) });
    expect(memory.head?.size).toBe(9);
    expect(alarms.join()).toContain('an older state of the same history');
  });
});
