import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openMonitorStore, type MonitorStore } from '#cli/monitor-store.ts';
import { utf8 } from '#core/bytes.ts';
import { signCheckpoint } from '#core/tlog/checkpoint.ts';
import { openSignedState, type SignedState } from '#core/tlog/equivocation.ts';
import { emptyMemory, memoryLimits } from '#core/tlog/monitored-states.ts';
import { ed25519Type, noteSigner, verifierKeyOf } from '#core/tlog/note.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { lockFolder, type FolderLock } from '#platform/folder-lock.ts';
import { testKey, testOrigin } from '#support/log-builder.ts';

const key = verifierKeyOf(testOrigin, ed25519Type, testKey('log'));
const open = (note: Uint8Array): SignedState =>
  openSignedState(note, { logs: [key], witnesses: [] });
const state = (size: number, name = 'entry'): SignedState => {
  const checkpoint = { origin: testOrigin, size, root: leafHash(utf8(`${name} ${size}`)) };
  return open(signCheckpoint(checkpoint, [noteSigner(testOrigin, testKey('log'))]));
};

let folder = '';
let lock: FolderLock;
let store: MonitorStore;

async function reopen(): Promise<void> {
  await store.close();
  store = await openMonitorStore(lock, open);
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hourseal-monitor-store-'));
  lock = await lockFolder(folder);
  store = await openMonitorStore(lock, open);
});
afterEach(async () => {
  await store.close();
  await lock.release();
  rmSync(folder, { recursive: true });
});

describe('the store of a monitor', () => {
  it('begins with nothing and gives back all that it was told', async () => {
    expect([store.memory(), store.headSinceS(), store.evidence()]).toEqual([
      emptyMemory,
      undefined,
      [],
    ]);
    const memory = {
      head: state(9),
      past: [state(3), state(5)],
      open: [state(12, 'other')],
      witnesses: { one: 12, 'witness.example/größer': 4 },
    };
    await store.keepStates([...memory.past, memory.head, ...memory.open]);
    await store.remember(memory, 1_767_261_600);
    await store.keepEvidence('equivocation-0011.hourseal-evidence.json');
    await store.keepEvidence('equivocation-0011.hourseal-evidence.json');
    for (let i = 0; i < 2; i++) {
      await reopen();
      expect(store.memory()).toEqual(memory);
      expect(store.headSinceS()).toBe(1_767_261_600);
      expect(store.evidence()).toEqual(['equivocation-0011.hourseal-evidence.json']);
    }
    await store.remember({ ...memory, witnesses: {} }, 1_767_270_000);
    expect(store.headSinceS()).toBe(1_767_261_600);
  });

  it('has what was shown before a crash among what is still to be compared', async () => {
    const memory = { head: state(9), past: [], open: [], witnesses: {} };
    await store.keepStates([state(9)]);
    await store.remember(memory, 1_767_261_600);
    await store.keepStates([state(11), state(7, 'other')]);
    await reopen();
    expect(store.memory()).toEqual({ ...memory, open: [state(11), state(7, 'other')] });
  });

  it('does not grow with what is forgotten', async () => {
    const size = (): number => statSync(join(folder, 'monitor')).size;
    await store.keepStates([state(1)]);
    await store.remember({ head: state(1), past: [], open: [], witnesses: {} }, 1);
    await reopen();
    const small = size();
    for (let i = 2; i < 40; i++) {
      await store.keepStates([state(i)]);
      await store.remember({ head: state(i), past: [], open: [], witnesses: {} }, i);
    }
    expect(size()).toBeGreaterThan(10 * small);
    await reopen();
    expect(size()).toBeLessThan(2 * small);
    expect(store.memory().head).toEqual(state(39));
  });

  it('remembers only so many open states', async () => {
    const many = Array.from({ length: memoryLimits.open + 5 }, (_, i) => state(i + 1));
    await store.keepStates(many);
    expect(store.memory().open).toEqual(many.slice(0, memoryLimits.open));
    await reopen();
    expect(store.memory().open).toHaveLength(memoryLimits.open);
  });

  it('is refused when it is damaged, or holds what the policy does not vouch for', async () => {
    await store.keepStates([state(1), state(2)]);
    await store.close();
    const path = join(folder, 'monitor');
    const bytes = readFileSync(path);
    const stranger = verifierKeyOf(testOrigin, ed25519Type, testKey('stranger'));
    await expect(
      openMonitorStore(lock, (note) => openSignedState(note, { logs: [stranger], witnesses: [] })),
    ).rejects.toMatchObject({ name: 'Refused', code: 'checkpoint-unsigned' });
    const damaged = Uint8Array.from(bytes);
    damaged[30] = (damaged[30] ?? 0) ^ 1;
    writeFileSync(path, Buffer.concat([damaged, bytes]));
    await expect(openMonitorStore(lock, open)).rejects.toMatchObject({ name: 'Refused' });
    writeFileSync(path, bytes);
    store = await openMonitorStore(lock, open);
    expect(store.memory().open).toHaveLength(2);
  });
});
