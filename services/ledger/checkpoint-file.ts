import { Failed } from '#core/errors.ts';
import { policiesFor, type Genesis } from '#core/certificate/state/state.ts';
import type { Signer } from '#core/signer.ts';
import { formatNote, maxNoteSignatures, parseNote, withSignatures } from '#core/tlog/note.ts';
import type { NoteSignature } from '#core/tlog/note.ts';
import type { Policy } from '#core/tlog/policy.ts';
import type { Pool } from '#platform/postgres.ts';
import { isPending, readCosignatures, type PendingCheckpoint } from './cosignature-store.ts';
import type { LogFolder } from './log-folder.ts';
import { notePublished, readCheckpoint } from './log-store.ts';
import { checkpointIn, isByUs, requireKnown } from './rollback.ts';
import { everyQuorumMet, keyName, witnessesOf, type WitnessUrls } from './witnesses.ts';
import { removePartialTiles } from './write-tiles.ts';

/** The file `checkpoint`: what everybody takes for the log as it stands (D3.4, order of publication). */

/**
 * The newest published checkpoint whose last entry is a `state`: proof files rest on it, since of no
 * other can they show that it is not void (D3.5).
 */
export const stateCheckpointPath = 'state/checkpoint';

export interface CheckpointFileContext {
  readonly pool: Pool;
  readonly folder: LogFolder;
  readonly signers: readonly Signer[];
  readonly witnessUrls: WitnessUrls;
}

export interface Gathered {
  /** Those whose quorum the checkpoint needs. */
  readonly policies: readonly Policy[];
  readonly cosignatures: readonly NoteSignature[];
}

export function namesOf(signatures: readonly NoteSignature[]): ReadonlySet<string> {
  return new Set(signatures.map((key) => keyName({ key })));
}

/**
 * What is published was in the database before it was a file. So a published checkpoint of ours that
 * the database does not know means that the database was rolled back, lost or exchanged, and that
 * signing on would split the log. What our key did not sign proves nothing, and is ignored (D5, step
 * 6). One that has its quorum and that the database does not take for published was written just
 * before a crash: it is, and the policies that it fulfilled are not asked for a second time.
 */
export async function recognisePublished(
  genesis: Genesis,
  context: CheckpointFileContext,
): Promise<void> {
  const { pool, folder, signers } = context;
  const bytes = await folder.read('checkpoint');
  const file = bytes && checkpointIn(bytes);
  if (file === undefined || !isByUs(file.note, genesis, signers)) return;
  const { size, origin } = file.checkpoint;
  const { treeSize, publishedSize } = await readCheckpoint(pool);
  if (origin !== genesis.origin) return;
  if (size >= treeSize) await requireKnown(file.checkpoint, context);
  if (size <= publishedSize || !(await isPending(pool, size))) return;
  const cosigned = namesOf(await readCosignatures(pool, size));
  const policies = policiesFor(genesis, { publishedSize, size }).map(({ policy }) => policy);
  if (everyQuorumMet(policies, cosigned)) await notePublished(pool, size);
}

/**
 * Step 7. A crash before the file is replaced: the cosignatures are in the database, and this is
 * done again. After it: `recognisePublished`. What another ledger has published or forgotten
 * meanwhile is not pending any more, and left alone.
 */
export async function writeCheckpoint(
  { pool, folder }: CheckpointFileContext,
  { treeSize, note }: PendingCheckpoint,
  { endsWithState, ...gathered }: Gathered & { readonly endsWithState: boolean },
): Promise<void> {
  if (await isPassedOver(pool, treeSize)) return;
  const { publishedSize } = await readCheckpoint(pool);
  const bytes = cosigned(note, gathered);
  // First: after `checkpoint` nobody would come back to this size.
  if (endsWithState) await folder.write([{ path: stateCheckpointPath, bytes }]);
  await folder.write([{ path: 'checkpoint', bytes }]);
  await notePublished(pool, treeSize);
  await removePartialTiles(folder, { from: publishedSize, to: treeSize });
}

/** True where another ledger has published that size, or a newer one, or has forgotten it. */
export async function isPassedOver(pool: Pool, treeSize: number): Promise<boolean> {
  const { publishedSize } = await readCheckpoint(pool);
  return publishedSize >= treeSize || !(await isPending(pool, treeSize));
}

/** The published checkpoint as it was when it was pending; undefined where a newer one is signed. */
export async function readPublished({
  pool,
  folder,
}: CheckpointFileContext): Promise<
  { pending: PendingCheckpoint; cosignatures: readonly NoteSignature[] } | undefined
> {
  const { treeSize, publishedSize } = await readCheckpoint(pool);
  const bytes = await folder.read('checkpoint');
  const file = bytes && checkpointIn(bytes);
  if (file?.checkpoint.size !== treeSize || publishedSize !== treeSize) return undefined;
  const { text, signatures } = file.note;
  const isOwn = ({ name }: NoteSignature): boolean => name === file.checkpoint.origin;
  const note = formatNote({ text, signatures: signatures.filter(isOwn) });
  const cosignatures = signatures.filter((signature) => !isOwn(signature));
  return { pending: { treeSize, note }, cosignatures };
}

/** The same checkpoint with more cosignatures; who is still missing. */
export async function addToPublished(
  { folder, witnessUrls }: CheckpointFileContext,
  { note }: PendingCheckpoint,
  gathered: Gathered,
): Promise<readonly string[]> {
  const bytes = cosigned(note, gathered);
  await folder.exclusively(() => folder.write([{ path: 'checkpoint', bytes }]));
  const have = namesOf(gathered.cosignatures);
  return witnessesOf(gathered.policies, witnessUrls)
    .filter((witness) => !have.has(keyName(witness)))
    .map(({ name }) => name);
}

/**
 * The note with all cosignatures, or, where a note cannot hold as many (D3.4), with as many that
 * still are a quorum. Failed('cosignatures') where there are no such.
 */
function cosigned(note: Uint8Array, { policies, cosignatures }: Gathered): Uint8Array {
  const own = parseNote(note);
  const limit = maxNoteSignatures - own.signatures.length;
  let kept = cosignatures;
  for (const one of cosignatures) {
    if (kept.length <= limit) break;
    const others = kept.filter((other) => other !== one);
    if (everyQuorumMet(policies, namesOf(others))) kept = others;
  }
  if (kept.length > limit) {
    throw new Failed('cosignatures', `a quorum of ${kept.length} does not fit into a note`);
  }
  return formatNote(withSignatures(own, kept));
}
