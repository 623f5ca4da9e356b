import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { toBase64, toHex } from '#core/bytes.ts';
import { parseCheckpoint, verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import { parseNote, parseVkey } from '#core/tlog/note.ts';
import { treeRoot } from '#core/tlog/tree.ts';
import { logVkey } from '#support/log-people.ts';

const everyMs = 15;

/** Everything that the log ever signed, as somebody outside saw it. */
export interface CheckpointWatch {
  /** Notes one signed checkpoint; a second one of the same size with other bytes is a fault. */
  readonly note: (bytes: Uint8Array) => void;
  readonly sizes: () => readonly number[];
  /** What was wrong: split views, a size that fell, roots that are not those of the final leaves. */
  readonly faults: (leafHashes: readonly Uint8Array[]) => readonly string[];
  readonly stop: () => Promise<void>;
}

/** Watches the published checkpoint file from outside, as a witness would. */
export function watchCheckpoints(logFolder: string): CheckpointWatch {
  const seen = new Map<number, { text: string; root: Uint8Array }>();
  const faults: string[] = [];
  const stopping = new AbortController();
  let published = 0;
  const note = (bytes: Uint8Array): number => {
    const text = toBase64(bytes);
    const { size, root } = parseCheckpoint(parseNote(bytes).text);
    const before = seen.get(size);
    if (before === undefined) {
      verifyCheckpoint(bytes, { log: parseVkey(logVkey), cosigners: [] });
      seen.set(size, { text, root });
    } else if (before.text !== text) {
      faults.push(`two signed checkpoints of size ${size}`);
    }
    return size;
  };
  const watch = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const bytes = await readFile(join(logFolder, 'checkpoint')).catch(() => undefined);
      if (bytes !== undefined) {
        const size = note(bytes);
        if (size < published) faults.push(`published ${size} after ${published}`);
        published = size;
      }
      await setTimeout(everyMs);
    }
  };
  const watching = watch().catch((error: unknown) => {
    faults.push(String(error));
  });
  return {
    note,
    sizes: () => [...seen.keys()].sort((a, b) => a - b),
    faults(leafHashes) {
      const wrong = [...seen].flatMap(([size, { root }]) => {
        if (size > leafHashes.length) return [`a checkpoint of ${size}, which is lost`];
        const now = toHex(treeRoot(leafHashes.slice(0, size)));
        return now === toHex(root) ? [] : [`the tree of ${size} has another root`];
      });
      return [...faults, ...wrong];
    },
    async stop() {
      stopping.abort();
      await watching;
    },
  };
}
