import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { openingPath, parseOpening } from '#core/certificate/commitment.ts';
import { parseEntry } from '#core/certificate/entry.ts';
import type { IssuedRange } from '#core/certificate/state/series.ts';
import { encodePiece, encodeStateLeaf } from '#core/certificate/state/state-tree.ts';
import { specOf, type Kind, type SpecOf } from '#core/certificate/kinds.ts';
import { batchPath, parseBatchFile, parseMessageLeaf } from '#core/energy/batch.ts';
import { evidencePath, parseRecords } from '#core/energy/evidence-file.ts';
import { canonicalText } from '#core/jcs.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { readRecords } from '#ledger/record-store.ts';
import type { Pool } from '#platform/postgres.ts';
import { testOrigin } from './log-builder.ts';
import { replayLog } from './replay-log.ts';
import type { DayEntry } from './worked-day-parties.ts';
import { story } from './worked-day-story.ts';

/** How the worked day stands in test/vectors/worked-day.json and in FORMATS.md. */

export function dayVector(entries: readonly DayEntry[]): string {
  return `${JSON.stringify({ origin: testOrigin, entries }, undefined, 2)}\n`;
}

/** What the proof file beside the page proves: the units that were cancelled, of an hour that shrank later. */
export const provedBundle = { series: 'energy/solar', from: 1, to: 1500 };

export function dayEntry(entries: readonly DayEntry[], name: string): DayEntry {
  const found = entries[story.findIndex((told) => told.name === name)];
  if (found === undefined) throw new Error(`the worked day has no entry ${name}`);
  return found;
}

export function daySpec<K extends Kind>(
  entries: readonly DayEntry[],
  name: string,
  kind: K,
): SpecOf<K> {
  return specOf[kind].parse(parseEntry(utf8(dayEntry(entries, name).jcs)).spec) as SpecOf<K>;
}

/** The text of the chapter: every entry with what happened, and its exact bytes. */
export function dayChapter(entries: readonly DayEntry[]): string {
  if (entries.length !== story.length) {
    throw new Error(`${entries.length} entries, ${story.length} sentences`);
  }
  const paragraphs = entries.flatMap(({ index, time, jcs }) => {
    const { name, said } = story[index] ?? { name: '', said: '' };
    const clock = new Date(time * 1000).toISOString().slice(11, 19);
    const { kind } = parseEntry(utf8(jcs));
    return [`**${index}, ${clock}, \`${kind}\`.** ${said}`, fence(`entry-${name}`, jcs)];
  });
  return [
    'A log with entries of most kinds, as ingestion and ledger wrote it on the first day of 2026 and in the first minutes of the next (all times are UTC): a solar plant with an auxiliary meter, and a mill whose consumption is committed. Each sentence tells what happened and which register values the figures come from. The same entries are in `test/vectors/worked-day.json`.',
    'Index, leaf hash, and the name of the example below:',
    fence('worked-day', dayList(entries)),
    ...paragraphs,
  ].join('\n\n');
}

function fence(name: string, text: string): string {
  return `\`\`\`text example=${name}\n${text}\n\`\`\``;
}

function dayList(entries: readonly DayEntry[]): string {
  return entries
    .map(
      ({ index, leafHash }) =>
        `${String(index).padStart(2)} ${leafHash} ${story[index]?.name ?? ''}`,
    )
    .join('\n');
}

/** The leaves of a state and the pieces of its first range, each line a leaf hash and the leaf. */
function stateExamples(entries: readonly DayEntry[]): ReadonlyMap<string, string> {
  const { asOf } = daySpec(entries, 'state', 'state');
  const { state } = replayLog(entries.slice(0, asOf).map(({ jcs }) => utf8(jcs)));
  const ranges = [...state.stateTree.ranges];
  const line = (leaf: Uint8Array): string => `${toHex(leafHash(leaf))} ${decodeUtf8(leaf)}`;
  const piecesOf = (range: IssuedRange): Uint8Array[] => range.pieces.map(encodePiece);
  const leaves = ranges.map((range) =>
    encodeStateLeaf(range, treeRoot(piecesOf(range).map(leafHash))),
  );
  return new Map([
    ['state-pieces', ranges.slice(0, 1).flatMap(piecesOf).map(line).join('\n')],
    ['state-leaves', leaves.map(line).join('\n')],
  ]);
}

/** What other chapters show of the day, by the name of the example. */
export async function dayExamples(
  pool: Pool,
  { folder, entries }: { readonly folder: string; readonly entries: readonly DayEntry[] },
): Promise<ReadonlyMap<string, string>> {
  const files = openLogFolder(folder);
  const read = async (path: string): Promise<Uint8Array> => {
    const bytes = await files.read(path);
    if (bytes === undefined) throw new Error(`no file ${path}`);
    return bytes;
  };
  const hour = daySpec(entries, 'hour', 'hour');
  const { leaves } = parseBatchFile(await read(batchPath(hour.batchRoot)));
  const records = parseRecords(await readRecords(pool, dayEntry(entries, 'hour').index));
  const committed = daySpec(entries, 'hour-committed', 'hour');
  if (!('commitment' in committed)) throw new Error('the hour is not committed');
  const opening = await read(openingPath(committed.commitment));
  const fork = daySpec(entries, 'fork', 'fork');
  const account = daySpec(entries, 'account', 'account');
  return new Map([
    ...stateExamples(entries),
    ['signed-account', canonicalText({ kind: 'account', origin: testOrigin, spec: account })],
    ['hour-messages', leaves.map((leaf) => decodeUtf8(parseMessageLeaf(leaf).bytes)).join('\n')],
    ['hour-records', records.map(decodeUtf8).join('\n')],
    ['opening', toHex(opening)],
    ['opening-salt', toHex(parseOpening(opening).salt)],
    ['fork-evidence', toHex(await read(evidencePath(fork.evidence)))],
  ]);
}
