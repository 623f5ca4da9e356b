import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { toHex } from '#core/bytes.ts';
import { encodeEntry } from '#core/certificate/entry.ts';
import { advance } from '#core/certificate/fold.ts';
import { emptyState, type LogState } from '#core/certificate/state/state.ts';
import { encodeMemory } from '#core/certificate/state/state-memory.ts';
import { unkeptRowsLimit } from '#core/certificate/state/state-store.ts';
import {
  advanceStateTree,
  stateHashReader,
  stateRoot,
} from '#core/certificate/state/state-tree.ts';
import { proveInclusion } from '#core/tlog/proof.ts';
import { encodeHashTile, tileHashReader, tilePath, tileWidth } from '#core/tlog/tile.ts';
import { growTileEdge, type TileEdge } from '#core/tlog/tile-edge.ts';
import { emptyRoot, leafHash } from '#core/tlog/tree.ts';
import { composeDraft } from '#ledger/draft.ts';
import { folderLogReader } from '#platform/log-reader.ts';
import { openStateStore } from '#platform/state-store.ts';
import * as people from '#support/log-people.ts';
import { testStartS } from '#support/test-ledger.ts';

/**
 * One process that folds a log of many hours with its state on the disk, writes its tiles, and proves
 * from them: `memory-fold.ts FOLDER ENTRIES`. Prints one JSON object. Its memory is measured from
 * outside of what made it, so it does nothing else.
 */
const [folder = '', count = '0'] = process.argv.slice(2);
const entries = Number(count);
const plants = 1_000;
const hourS = 3_600;
/** A `state` a day. */
const stateEvery = 24 * plants;
const proofs = 500;
const mebibyte = 1024 ** 2;

type Composable = Parameters<typeof composeDraft>[0];

const store = await openStateStore(join(folder, 'state'));
const state = emptyState({ tables: store.tables });
let edge: TileEdge = { size: 0, rows: [] };
let pending: Uint8Array[] = [];
let foldMs = 0;
let residentBytes = 0;

/** As a replay meets it: by its bytes alone. */
function fold(draft: Composable, time: number): void {
  const bytes = encodeEntry({ ...composeDraft(draft, { state, time }), time });
  const startedAt = performance.now();
  const { violation } = advance(state, bytes, { signatures: 'trust' });
  foldMs += performance.now() - startedAt;
  if (violation !== undefined) throw new Error(`${violation.code}: ${violation.message}`);
  pending.push(leafHash(bytes));
}

/** Hash tiles as the log has them; nobody else reads them, so they need not be durable. */
function writeTiles(): void {
  const grown = growTileEdge(edge, pending);
  ({ edge } = grown);
  pending = [];
  for (const [path, bytes] of grown.tiles) if (!path.includes('.p/')) writeTile(path, bytes);
}

function writeEdge(): void {
  for (const [level, row] of edge.rows.entries()) {
    const index = Math.floor(edge.size / tileWidth ** (level + 1));
    if (row.length === 0) continue;
    writeTile(tilePath({ level, index, width: row.length }), encodeHashTile(row));
  }
}

function writeTile(path: string, bytes: Uint8Array): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, bytes);
}

async function keep(): Promise<void> {
  if (store.unkeptRows() < unkeptRowsLimit && state.size < entries) return;
  const startedAt = performance.now();
  await store.keep(encodeMemory(state));
  foldMs += performance.now() - startedAt;
  residentBytes = Math.max(residentBytes, process.memoryUsage.rss());
}

function hourOf(i: number): Composable {
  return {
    type: 'hour',
    plant: `p${i % plants}`,
    start: testStartS + Math.floor(i / plants) * hourS,
    version: 1,
    amends: undefined,
    generationWh: 1 + (i % 5_000),
    consumptionWh: undefined,
    co2G: undefined,
    operatingS: undefined,
    validS: undefined,
    quality: 'measured',
    messages: 4,
    complete: true,
    batchRoot: emptyRoot,
    metersRoot: emptyRoot,
    records: [],
    committed: undefined,
  };
}

function enterState(time: number): void {
  const { stateTree: tree, size: asOf } = state;
  const startedAt = performance.now();
  advanceStateTree(tree, asOf);
  const root = toHex(stateRoot(tree));
  foldMs += performance.now() - startedAt;
  fold({ type: 'state', asOf, count: tree.count, root }, time);
}

/** Of a log's entry and of a range in the newest state, both from what lies on the disk. */
async function proofMs(log: LogState): Promise<{ both: number[]; ranges: number[] }> {
  const size = edge.size;
  const { asOf, count } = log.stateTree;
  const [both, ranges]: [number[], number[]] = [[], []];
  for (let i = 0; i < proofs; i++) {
    const read = tileHashReader(folderLogReader(folder), size);
    const startedAt = performance.now();
    await proveInclusion({ index: Math.floor((size / proofs) * i), size }, read);
    const index = Math.floor((count / proofs) * i);
    const betweenAt = performance.now();
    await proveInclusion({ index, size: count }, stateHashReader(log.stateTree, asOf));
    const endedAt = performance.now();
    both.push(endedAt - startedAt);
    ranges.push(endedAt - betweenAt);
  }
  return { both, ranges };
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? 0;
}

fold({ type: 'action', ...people.genesis() }, testStartS);
fold({ type: 'action', ...people.account('p') }, testStartS);
for (let p = 0; p < plants; p++) {
  fold({ type: 'action', ...people.plant(`p${p}`, 'p') }, testStartS);
}
for (let i = 0; state.size < entries; i++) {
  const time = testStartS + (Math.floor(i / plants) + 1) * hourS;
  fold(hourOf(i), time);
  if ((i + 1) % stateEvery === 0) enterState(time);
  if ((i + 1) % plants === 0) {
    writeTiles();
    await keep();
  }
}
writeTiles();
writeEdge();
await keep();
const { both, ranges } = await proofMs(state);
residentBytes = Math.max(residentBytes, process.memoryUsage.rss());
await store.close();
console.log(
  JSON.stringify({
    entriesPerS: (state.size / foldMs) * 1000,
    residentMiB: residentBytes / mebibyte,
    peakMiB: process.resourceUsage().maxRSS / 1024,
    proofP50Ms: quantile(both, 0.5),
    proofP99Ms: quantile(both, 0.99),
    rangeP50Ms: quantile(ranges, 0.5),
    rangeP99Ms: quantile(ranges, 0.99),
  }),
);
