import { equalBytes, toHex } from '../../bytes.ts';
import { Failed, Refused } from '../../errors.ts';
import { parseCheckpoint, verifyCheckpoint, type Checkpoint } from '../../tlog/checkpoint.ts';
import { ed25519Type, parseNote, verifierKey } from '../../tlog/note.ts';
import type { Policy } from '../../tlog/policy.ts';
import { encodeHashTile, tilePath, tileWidth } from '../../tlog/tile.ts';
import { rootOfEdge, type TileEdge } from '../../tlog/tile-edge.ts';
import type { AuditProgress } from './audit.ts';
import type { SignatureCheck } from './audit-evidence.ts';
import type { LogFiles, LogRead } from './audit-files.ts';
import { fetchEntries } from './audit-fetch.ts';
import { findingsOf, foldEntries } from './audit-replay.ts';
import { bundlesAhead, chooseProver, createReplay, keepReplayIfDue } from './audit-open.ts';
import { inOrder, unvoided, type AuditFinding, type Replay } from './audit-replay.ts';
import type { HourProver } from './hour-proof.ts';
import { readAhead } from './read-ahead.ts';
import { parseEntry } from '../entry.ts';
import { verifyByAnyKey, verifyQuorum } from '../proof/quorum-of-proof.ts';
import { logKeysAt } from '../state/state.ts';
import type { StateStore } from '../state/state-store.ts';

export interface AuditReport extends AuditProgress {
  readonly origin: string;
  readonly root: string;
  /** Entries that broke a rule and have their `void`: the log is right, the entries count for nothing. */
  readonly voided: number;
  /** Hours of committed sites whose evidence is not in these files, and so was not checked. */
  readonly withheld: number;
  /** Receipt chains that rest on messages which none of these files hold. */
  readonly openChains: number;
  /** Empty when the log is right; ascending by entry. */
  readonly findings: readonly AuditFinding[];
}

export interface AuditLogOptions {
  readonly read: LogRead;
  readonly signatures: SignatureCheck | 'trust';
  readonly prover?: HourProver | undefined;
  /** The auditor's own: the checkpoint must have its quorum. */
  readonly policy?: Policy | undefined;
  /** Where the state lies meanwhile, empty; by default in memory. */
  readonly store?: StateStore | undefined;
}

/**
 * Audits a whole log from its static files: recomputes every tile and the root under the checkpoint,
 * replays every rule, and checks each hour against its batch file. Yields how far it is, and returns
 * the report: everything that is found wrong, so it goes on where a witness would stop. Throws Refused
 * where there is no log to audit: no checkpoint, no genesis, a bad signature.
 */
export async function* auditWholeLog({
  read,
  signatures,
  prover,
  policy,
  store,
}: AuditLogOptions): AsyncGenerator<AuditProgress, AuditReport> {
  const replay = createReplay({ read, signatures, prover, evidence: 'reported', store });
  const note = await replay.files.checkpoint();
  const checkpoint = await openCheckpoint(replay.files, note);
  const { size } = checkpoint;
  chooseProver(replay, size);
  const findings: AuditFinding[] = [];
  const bundles = Array.from({ length: Math.ceil(size / tileWidth) }, (_, index) => index);
  const fetch = async (index: number) => {
    const entries = await replay.files.entries(index, size);
    return fetchEntries(replay, entries, { first: index * tileWidth, size });
  };
  try {
    // The next bundles are read, and what can be judged of them is, while this one is folded.
    for await (const fetched of readAhead(bundles, bundlesAhead(replay), fetch)) {
      const { stop, tiles } = await foldEntries(replay, fetched);
      // Partial tiles are looked for at the end alone: on the way they are not those of this size.
      const full = [...tiles].filter(([path]) => !path.includes('.p/'));
      findings.push(...(await faultsOfTiles(read, full)));
      await keepReplayIfDue(replay);
      yield { ...progressOf(replay), size };
      if (stop !== undefined) break;
    }
  } catch (error) {
    findings.push(whyNotRead(error, replay));
  }
  findings.push(...(await faultsOfTiles(read, partialTiles(replay.edge))));
  findings.push(...wrongAsWhole(replay, checkpoint), ...wrongSignatures(replay, note, policy));
  return reportOf(replay, checkpoint, findings);
}

/** What the checkpoint says. Who signed it is judged when the log has said which keys may. */
async function openCheckpoint(files: LogFiles, note: Uint8Array): Promise<Checkpoint> {
  const checkpoint = parseCheckpoint(parseNote(note).text);
  if (checkpoint.size === 0) throw new Refused('genesis', 'a log without entries');
  const [first] = await firstEntries(files, checkpoint.size);
  const entry = parseEntry(first ?? new Uint8Array(0));
  if (entry.kind !== 'genesis') throw new Refused('genesis', 'entry 0 is not a genesis');
  return checkpoint;
}

/**
 * Every key that the log names for its size must have signed (D3.4: during an overlap both); with a
 * policy, by a key of the policy and with its quorum.
 */
function wrongSignatures(
  { state }: Replay,
  note: Uint8Array,
  policy: Policy | undefined,
): AuditFinding[] {
  const { genesis, size, time } = state;
  if (genesis === undefined) return [];
  const named = logKeysAt(genesis, { size, time }).map(({ key: { raw: publicKey } }) =>
    verifierKey({ name: genesis.origin, type: ed25519Type, publicKey }),
  );
  const checks = named.map((log) => () => {
    verifyCheckpoint(note, { log, cosigners: [] });
  });
  if (policy !== undefined) checks.push(() => requireQuorum(note, genesis.origin, policy));
  return checks.flatMap((check) => {
    try {
      check();
      return [];
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return [{ index: undefined, code: error.code, message: error.message }];
    }
  });
}

function requireQuorum(note: Uint8Array, origin: string, policy: Policy): void {
  const logs = policy.logs.map(({ key }) => key).filter(({ name }) => name === origin);
  const cosigners = policy.witnesses.map(({ key }) => key);
  verifyQuorum(verifyByAnyKey(note, { logs, cosigners }), policy);
}

async function firstEntries(files: LogFiles, size: number): Promise<readonly Uint8Array[]> {
  try {
    return await files.entries(0, size);
  } catch (cause) {
    if (!(cause instanceof Failed)) throw cause;
    throw new Refused('genesis', cause.message, { cause });
  }
}

function progressOf({ state, hours, leaves }: Replay): Omit<AuditProgress, 'size'> {
  return { entries: state.size, hours, leaves };
}

/** A bundle that is not there or is none: what comes after it cannot be judged. */
function whyNotRead(error: unknown, { state }: Replay): AuditFinding {
  const isFile =
    error instanceof Refused || (error instanceof Failed && error.code === 'evidence-missing');
  if (!isFile) throw error;
  const message = `${error.message}: nothing from here on was judged`;
  return { index: state.size, code: error.code, message };
}

/** The tiles at the right edge, which a log of this size has beside its full ones. */
function partialTiles({ size, rows }: TileEdge): (readonly [string, Uint8Array])[] {
  return rows.flatMap((row, level) => {
    if (row.length === 0) return [];
    const index = Math.floor(size / tileWidth ** (level + 1));
    return [[tilePath({ level, index, width: row.length }), encodeHashTile(row)] as const];
  });
}

async function faultsOfTiles(
  read: LogRead,
  tiles: readonly (readonly [string, Uint8Array])[],
): Promise<AuditFinding[]> {
  const findings: AuditFinding[] = [];
  for (const [path, bytes] of tiles) {
    const stored = await read(path);
    if (stored !== undefined && equalBytes(stored, bytes)) continue;
    const fault = stored === undefined ? 'is missing' : "does not hold the log's hashes";
    findings.push({ index: undefined, code: 'tile', message: `${path} ${fault}` });
  }
  return findings;
}

function wrongAsWhole(
  { edge, state, unknown }: Replay,
  { origin, size, root }: Checkpoint,
): AuditFinding[] {
  const findings: AuditFinding[] = [];
  const isWhole = edge.size === size && equalBytes(rootOfEdge(edge), root);
  if (!isWhole && unknown === undefined) {
    const message = `the entries do not lead to the root of the checkpoint of ${size}`;
    findings.push({ index: undefined, code: 'root', message });
  }
  if (state.genesis !== undefined && state.genesis.origin !== origin) {
    findings.push({ index: 0, code: 'origin', message: `the checkpoint is of ${origin}` });
  }
  return findings;
}

function reportOf(
  replay: Replay,
  { origin, size, root }: Checkpoint,
  findings: readonly AuditFinding[],
): AuditReport {
  const { state, withheld, chains } = replay;
  return {
    ...progressOf(replay),
    size,
    origin,
    root: toHex(root),
    voided: state.violations.size - unvoided(state).length,
    withheld,
    openChains: chains.open(),
    findings: inOrder([...findings, ...findingsOf(replay)]),
  };
}
