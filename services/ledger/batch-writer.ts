import { equalBytes, toHex } from '#core/bytes.ts';
import { Fatal } from '#core/errors.ts';
import { privateBatchPath } from '#core/certificate/commitment.ts';
import { batchPath, encodeBatchFile, parseBatchFile } from '#core/energy/batch.ts';
import type { Quarantined } from '#core/energy/batch.ts';
import type { Pool } from '#platform/postgres.ts';
import { readUnlisted } from './due-store.ts';
import type { LogFolder } from './log-folder.ts';
import type { LogFile } from './many-files.ts';
import type { HourPlan } from './plan.ts';

export type SealPlan = Extract<HourPlan, { action: 'seal' }>;

/** An hour whose batch file has to be there before its entry is (D3.2). */
export interface SealingHour {
  readonly plantId: number;
  readonly plan: SealPlan;
}

/** Stores the batch files of one group of hours while its later hours are still being planned. */
export interface BatchWriter {
  /** Returns at once; what comes of it, `end` says. */
  readonly add: (hour: SealingHour) => void;
  /**
   * Resolves, once every file is durable, to the quarantined messages that stand in them. Rejects
   * with what went wrong first, after nothing is under way any more.
   */
  readonly end: () => Promise<readonly Quarantined[]>;
}

export interface BatchWriterContext {
  readonly pool: Pool;
  readonly folder: LogFolder;
  readonly limits: { readonly quarantinedPerGroup: number };
}

/** Files that are written together, with one fsync of their folder. */
const hoursPerWrite = 256;

export function createBatchWriter(context: BatchWriterContext): BatchWriter {
  const group: GroupFiles = {
    paths: new Set(),
    plants: new Set(),
    waiting: new Map(),
    listed: [],
    leftToList: context.limits.quarantinedPerGroup,
  };
  let waiting: SealingHour[] = [];
  let writing: Promise<void> = Promise.resolve();
  const write = (): void => {
    const hours = waiting;
    waiting = [];
    writing = writing.then(() => writeHours(context, group, hours));
    // `end` throws it.
    writing.catch(() => undefined);
  };
  return {
    add(hour) {
      waiting.push(hour);
      if (waiting.length >= hoursPerWrite) write();
    },
    async end() {
      if (waiting.length > 0) write();
      await writing;
      return group.listed;
    },
  };
}

/** What the files of one group have in common. */
interface GroupFiles {
  readonly paths: Set<string>;
  /** Whose unlisted messages have been read. */
  readonly plants: Set<number>;
  /** By plant, for its next new file. */
  readonly waiting: Map<number, Quarantined[]>;
  readonly listed: Quarantined[];
  leftToList: number;
}

interface BatchFile extends LogFile {
  readonly leaves: readonly Uint8Array[];
  readonly quarantined: readonly Quarantined[];
}

/**
 * A plant's unlisted quarantined messages go into its first file of the group; where a file of that
 * root exists, its bytes stand, its list is taken as it is, and what it lacks waits for the plant's
 * next group (D3.2).
 */
async function writeHours(
  { pool, folder }: BatchWriterContext,
  group: GroupFiles,
  hours: readonly SealingHour[],
): Promise<void> {
  const plantIds = [...new Set(hours.map(({ plantId }) => plantId))];
  await readWaiting(
    pool,
    group,
    plantIds.filter((id) => !group.plants.has(id)),
  );
  const files = hours.flatMap((hour) => fileOf(hour, group));
  const there = await folder.writeNew(files);
  for (const { path, leaves, quarantined } of files) {
    const bytes = there.get(path);
    const inFile = bytes === undefined ? quarantined : standing(path, bytes, leaves);
    for (const message of inFile) group.listed.push(message);
  }
}

async function readWaiting(
  pool: Pool,
  group: GroupFiles,
  plantIds: readonly number[],
): Promise<void> {
  for (const plantId of plantIds) group.plants.add(plantId);
  if (plantIds.length === 0 || group.leftToList === 0) return;
  const unlisted = await readUnlisted(pool, plantIds, group.leftToList);
  group.leftToList -= unlisted.length;
  for (const { plantId, code, hash, kid, seq } of unlisted) {
    const list = group.waiting.get(plantId) ?? [];
    list.push({ code, hash, kid, seq });
    group.waiting.set(plantId, list);
  }
}

function fileOf({ plantId, plan }: SealingHour, group: GroupFiles): BatchFile[] {
  const { leaves, facts } = plan;
  const root = toHex(facts.batchRoot);
  const path = facts.committed === undefined ? batchPath(root) : privateBatchPath(root);
  if (group.paths.has(path)) return [];
  group.paths.add(path);
  const quarantined = group.waiting.get(plantId) ?? [];
  group.waiting.delete(plantId);
  return [{ path, bytes: encodeBatchFile({ leaves, quarantined }), leaves, quarantined }];
}

/** Its name says which leaves it has. Anything else in it would be a claim that we cannot prove. */
function standing(
  path: string,
  bytes: Uint8Array,
  leaves: readonly Uint8Array[],
): readonly Quarantined[] {
  const { quarantined } = parseBatchFile(bytes);
  if (!equalBytes(bytes, encodeBatchFile({ leaves, quarantined }))) {
    throw new Fatal('batch-file', `${path} does not hold the leaves that its name says`);
  }
  return quarantined;
}
