import { equalBytes, toHex } from '#core/bytes.ts';
import { Refused, within } from '#core/errors.ts';
import { parseOpening, openingPath, privateBatchPath } from '#core/certificate/commitment.ts';
import { parseEntry, type Entry } from '#core/certificate/entry.ts';
import {
  examineHour,
  openBatch,
  type HourSpec,
  type OpenBatch,
} from '#core/certificate/evidence.ts';
import { advance, UnknownKind } from '#core/certificate/fold.ts';
import { specOf } from '#core/certificate/kinds.ts';
import { emptyState, type LogState } from '#core/certificate/state.ts';
import { batchPath } from '#core/energy/batch.ts';
import { evidencePath, parseFramed } from '#core/energy/evidence-file.ts';
import { parseMessageLeaf } from '#core/energy/batch.ts';
import { verifyJws } from '#core/jws.ts';
import { parseCheckpoint, verifyCheckpoint, type Checkpoint } from '#core/tlog/checkpoint.ts';
import { parseNote, parseVkey } from '#core/tlog/note.ts';
import { encodeHashTile, tilePath, tileWidth } from '#core/tlog/tile.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { sha256 } from '#crypto';
import { createChainAudit, type ChainAudit } from './chain-audit.ts';
import { readLogFiles, type BundleFile, type LogFiles } from './files.ts';
import type { LogFolder } from './log-folder.ts';
import { createSignatureCheck, type SignatureCheck } from './signature-check.ts';
import { growTileEdge, rootOfEdge, type TileEdge } from './tile-edge.ts';

/** How far an audit is, and what it has found wrong. */
export interface AuditProgress {
  readonly entries: number;
  readonly size: number;
  readonly hours: number;
  readonly leaves: number;
}

export interface AuditFinding {
  /** The entry it concerns; undefined where it is the log as a whole. */
  readonly index: number | undefined;
  readonly code: string;
  readonly message: string;
}

export interface AuditReport extends AuditProgress {
  readonly origin: string;
  readonly root: string;
  /** Entries that broke a rule and have their `void`: the log is right, the entries count for nothing. */
  readonly voided: number;
  /** Hours of committed sites whose evidence is not in this folder, and so was not checked. */
  readonly withheld: number;
  /** Receipt chains that rest on messages which no file of this folder holds. */
  readonly openChains: number;
  /** Empty when the log is right; ascending by entry. */
  readonly findings: readonly AuditFinding[];
}

export interface AuditOptions {
  /** `trust` skips the meters' signatures and those under entries; for measuring. */
  readonly signatures?: 'verify' | 'trust';
}

/**
 * Audits a log from its static files alone: recomputes every tile and the root under the checkpoint,
 * replays every rule, and checks each hour against its batch file. Yields how far it is, and returns
 * the report. Throws Refused where there is no log to audit: no checkpoint, no genesis, a bad signature.
 */
export async function* auditFolder(
  folder: Pick<LogFolder, 'read'>,
  { signatures = 'verify' }: AuditOptions = {},
): AsyncGenerator<AuditProgress, AuditReport> {
  const files = readLogFiles(folder);
  const audit = createAudit(files, signatures);
  const checkpoint = await openCheckpoint(files);
  const { size } = checkpoint;
  const bundles = Math.ceil(size / tileWidth);
  let next: Promise<Fetched> | undefined = audit.fetch(0, size);
  for (let index = 0; next !== undefined; index++) {
    const fetched = await next;
    // The next bundle is read, and its signatures are verified in the thread pool, while this is judged.
    next = index + 1 < bundles ? audit.fetch(index + 1, size) : undefined;
    next?.catch(() => undefined);
    await audit.judge(fetched);
    yield audit.progress(size);
  }
  return audit.report(checkpoint);
}

/** The checkpoint, signed by the key that the log's own genesis names. */
async function openCheckpoint(files: LogFiles): Promise<Checkpoint> {
  const note = await files.checkpoint();
  const { size } = parseCheckpoint(parseNote(note).text);
  if (size === 0) throw new Refused('genesis', 'a log without entries');
  const first = await files.bundle(0, size);
  const entry = parseEntry(first.entries[0] ?? new Uint8Array(0));
  if (entry.kind !== 'genesis') throw new Refused('genesis', 'entry 0 is not a genesis');
  const { logKey } = specOf.genesis.parse(entry.spec, 'spec');
  return verifyCheckpoint(note, { log: parseVkey(logKey), cosigners: [] });
}

/** An entry with what belongs to it, read and parsed as far as that needs no state. */
interface FetchedEntry {
  readonly index: number;
  readonly data: Uint8Array;
  readonly records: readonly Uint8Array[];
  readonly entry: Entry | undefined;
  /** Of an hour: its batch, or why there is none. */
  readonly batch: OpenBatch | Refused | 'withheld' | undefined;
  readonly opening: Uint8Array | undefined;
}

interface Fetched {
  readonly entries: readonly FetchedEntry[];
}

interface Audit {
  readonly fetch: (bundle: number, size: number) => Promise<Fetched>;
  readonly judge: (fetched: Fetched) => Promise<void>;
  readonly progress: (size: number) => AuditProgress;
  readonly report: (checkpoint: Checkpoint) => Promise<AuditReport>;
}

const concurrentReads = 16;

function createAudit(files: LogFiles, signatures: 'verify' | 'trust'): Audit {
  const state = emptyState();
  const check = createSignatureCheck(state, signatures);
  const chains = createChainAudit();
  const findings: AuditFinding[] = [];
  let edge: TileEdge = { size: 0, rows: [] };
  let [hours, leaves, withheld] = [0, 0, 0];
  let stopped = false;

  const find = (index: number | undefined, code: string, message: string): void => {
    findings.push({ index, code, message });
  };

  const checkTile = async (path: string, bytes: Uint8Array): Promise<void> => {
    findings.push(...(await faultsOfTile(files, path, bytes)));
  };

  const judgeEntry = async (fetched: FetchedEntry): Promise<void> => {
    const { data, entry, batch } = fetched;
    let evidence: { code: string; message: string } | undefined;
    if (batch === 'withheld') withheld += 1;
    else if (batch !== undefined) {
      hours += 1;
      if (!(batch instanceof Refused)) leaves += batch.messages.length;
      evidence = examine(state, fetched, { check, chains });
    } else if (entry?.kind === 'fork') {
      evidence = await examineFork(files, state, entry);
    }
    advance(state, data, { signatures, evidence });
    for (const { index: by, kid } of chains.refuted()) {
      find(by, 'chain', `the receipt chain of ${kid} is not that of its messages`);
    }
  };

  return {
    async fetch(bundle, size) {
      const { first, entries, records } = await files.bundle(bundle, size);
      return fetchEntries(files, { first, entries, records }, check);
    },
    async judge({ entries }) {
      const grown = growTileEdge(
        edge,
        entries.map(({ data }) => leafHash(data)),
      );
      edge = grown.edge;
      // Partial tiles are looked for at the end alone: on the way they are not those of this size.
      const full = [...grown.tiles].filter(([path]) => !path.includes('.p/'));
      for (const [path, bytes] of full) await checkTile(path, bytes);
      for (const entry of entries) {
        if (stopped) return;
        try {
          await judgeEntry(entry);
        } catch (error) {
          if (!(error instanceof UnknownKind)) throw error;
          stopped = true;
          find(entry.index, 'unknown-kind', `${error.message}: nothing after it was judged`);
        }
      }
    },
    progress: (size) => ({ entries: edge.size, size, hours, leaves }),
    async report({ origin, size, root }) {
      for (const [path, bytes] of partialTiles(edge)) await checkTile(path, bytes);
      if (edge.size !== size || !equalBytes(rootOfEdge(edge), root)) {
        find(undefined, 'root', `the entries do not lead to the root of the checkpoint of ${size}`);
      }
      if (state.genesis !== undefined && state.genesis.origin !== origin) {
        find(0, 'origin', `the checkpoint is of ${origin}`);
      }
      findings.push(...unvoided(state));
      return {
        origin,
        root: toHex(root),
        entries: edge.size,
        size,
        hours,
        leaves,
        voided: state.violations.size - unvoided(state).length,
        withheld,
        openChains: chains.open(),
        findings: findings.toSorted((a, b) => (a.index ?? -1) - (b.index ?? -1)),
      };
    },
  };
}

/** The tiles at the right edge, which a log of this size has beside its full ones. */
function partialTiles({ size, rows }: TileEdge): (readonly [string, Uint8Array])[] {
  return rows.flatMap((row, level) => {
    if (row.length === 0) return [];
    const index = Math.floor(size / tileWidth ** (level + 1));
    return [[tilePath({ level, index, width: row.length }), encodeHashTile(row)] as const];
  });
}

async function faultsOfTile(
  files: LogFiles,
  path: string,
  bytes: Uint8Array,
): Promise<AuditFinding[]> {
  const stored = await files.read(path);
  if (stored !== undefined && equalBytes(stored, bytes)) return [];
  const fault =
    stored === undefined ? 'is missing' : "does not hold the hashes of the log's entries";
  return [{ index: undefined, code: 'tile', message: `${path} ${fault}` }];
}

/** Entries that broke a rule without a `void` that says so. */
function unvoided(state: LogState): AuditFinding[] {
  return [...state.violations].flatMap(([index, { voided, code, message }]) =>
    voided ? [] : [{ index, code, message }],
  );
}

function specOfHour(entry: Entry | undefined): HourSpec | undefined {
  try {
    if (entry?.kind === 'hour') return specOf.hour.parse(entry.spec, 'spec');
    if (entry?.kind === 'hour-correction')
      return specOf['hour-correction'].parse(entry.spec, 'spec');
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
  return undefined; // What is no hour at all, the fold says itself.
}

async function fetchEntries(
  files: LogFiles,
  { first, entries, records }: BundleFile,
  check: SignatureCheck,
): Promise<Fetched> {
  const fetched: FetchedEntry[] = [];
  for (let at = 0; at < entries.length; at += concurrentReads) {
    const page = entries.slice(at, at + concurrentReads).map(async (data, i) => {
      const index = first + at + i;
      const entry = entryOf(data);
      const spec = specOfHour(entry);
      const base = { index, data, entry, records: records[at + i] ?? [] };
      if (spec === undefined) return { ...base, batch: undefined, opening: undefined };
      return { ...base, ...(await fetchEvidence(files, spec, check)) };
    });
    fetched.push(...(await Promise.all(page)));
  }
  return { entries: fetched };
}

function entryOf(data: Uint8Array): Entry | undefined {
  try {
    return parseEntry(data);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return undefined;
  }
}

async function fetchEvidence(
  files: LogFiles,
  spec: HourSpec,
  check: SignatureCheck,
): Promise<Pick<FetchedEntry, 'batch' | 'opening'>> {
  const committed = 'commitment' in spec;
  const path = committed ? privateBatchPath(spec.batchRoot) : batchPath(spec.batchRoot);
  const file = await files.read(path);
  const opening = committed ? await files.read(openingPath(spec.commitment)) : undefined;
  if (committed && (file === undefined || opening === undefined)) {
    return { batch: 'withheld', opening };
  }
  if (file === undefined) return { batch: new Refused('batch', `${path} is missing`), opening };
  try {
    const batch = openBatch(file);
    await check.ahead(batch.messages.map(({ parsed }) => parsed.jws));
    return { batch, opening };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { batch: error, opening };
  }
}

/** What is wrong with an hour by its evidence; its messages and records go into the chains. */
function examine(
  state: LogState,
  { index, entry, batch, records, opening: bytes }: FetchedEntry,
  { check, chains }: { check: SignatureCheck; chains: ChainAudit },
): { code: string; message: string } | undefined {
  const spec = specOfHour(entry);
  if (spec === undefined || batch === undefined || batch === 'withheld') return undefined;
  try {
    if (batch instanceof Refused) throw batch;
    const opening = bytes && within('opening', () => parseOpening(bytes));
    const evidence = { batch, records: opening?.records ?? records, opening, verify: check.verify };
    const parsed = examineHour(state, spec, evidence);
    for (const { kid, seq, parsed: message } of batch.messages) {
      chains.see(kid, seq, toHex(message.hash));
    }
    for (const { kid, seq, hash } of batch.file.quarantined) chains.see(kid, seq, hash);
    for (const { keys } of parsed) {
      for (const { kid, throughSeq, chain } of keys)
        chains.state({ index, kid, throughSeq, chain });
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { code: error.code, message: error.message };
  }
}

/** The evidence of a fork: two messages of the key under one seq, both signed, not the same. */
async function examineFork(
  files: LogFiles,
  state: LogState,
  entry: Entry,
): Promise<{ code: string; message: string } | undefined> {
  try {
    const { evidence, kid, seq } = specOf.fork.parse(entry.spec, 'spec');
    const bytes = await files.read(evidencePath(evidence));
    if (bytes === undefined) throw new Refused('evidence', `evidence/${evidence} is missing`);
    if (toHex(sha256(bytes)) !== evidence) throw new Refused('evidence', 'it has another hash');
    const parsed = parseFramed(bytes, 2).map((leaf) => parseMessageLeaf(leaf).parsed);
    const [one, two] = parsed;
    const key = state.keys.get(kid)?.key;
    if (
      one === undefined ||
      two === undefined ||
      key === undefined ||
      equalBytes(one.hash, two.hash)
    ) {
      throw new Refused('evidence', 'not two messages of a key that the log names');
    }
    for (const { message, jws } of parsed) {
      if (message.seq !== seq) throw new Refused('evidence', 'a message with another seq');
      verifyJws(jws, key);
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { code: 'evidence', message: error.message };
  }
}
