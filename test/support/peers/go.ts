import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ConsistencyClaim, InclusionClaim } from '#core/tlog/proof.ts';
import { goModules, type Need } from '../needs.ts';
import type { Claim } from './claims.ts';

/** Go's sumdb/note and sumdb/tlog, behind main.go beside this file: one process for one question. */
export interface GoPeer {
  /** The text of each note that the key signed; nothing for one that `note.Open` refuses. */
  readonly open: (notes: readonly string[], vkey: string) => (string | undefined)[];
  /** Notes signed by a key of `note.NewSigner`'s own form. */
  readonly sign: (texts: readonly string[], skey: string) => string[];
  /** For each claim whether `tlog.CheckRecord` or `tlog.CheckTree` accepts it. */
  readonly check: (claims: readonly Claim[]) => boolean[];
  /** Every proof at every size from 1, by `tlog.ProveRecord` and `tlog.ProveTree`. */
  readonly prove: (entries: readonly Uint8Array[]) => GoProofs[];
  /** The entries of a log, once everything in its folder has led to its signed root. */
  readonly walk: (folder: string, vkey: string) => Uint8Array[];
}

export interface GoProofs {
  readonly root: Uint8Array;
  /** By index from 0. */
  readonly inclusion: readonly (readonly Uint8Array[])[];
  /** From size 1 at place 0 to the tree's own size. */
  readonly consistency: readonly (readonly Uint8Array[])[];
}

const source = fileURLToPath(new URL('.', import.meta.url));
const buildLimitMs = 240_000;
const answerLimitMs = 150_000;
const answerLimitBytes = 256 * 1024 * 1024;

/** Go with its modules, for `describeWith`; they are fetched now if they are not here yet. */
export const goPeer: Need = goModules(source);

/** Builds main.go in a temporary folder, which is the caller's to remove. */
export function buildGoPeer(go: Need): { readonly peer: GoPeer; readonly folder: string } {
  if (go.path === undefined) throw new Error(go.reason);
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-go-peer-'));
  const program = join(folder, 'peers');
  // Without C: a compiler for it is no part of what the tests need.
  const env = { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local' };
  const flags = ['-trimpath', '-buildvcs=false', '-mod=readonly', '-o', program];
  execFileSync(go.path, ['build', ...flags, '.'], { cwd: source, env, timeout: buildLimitMs });
  return { peer: peerOf(program), folder };
}

function peerOf(program: string): GoPeer {
  const ask = (request: object): unknown => {
    const { status, stdout, stderr, error } = spawnSync(program, {
      input: JSON.stringify(request),
      encoding: 'utf8',
      maxBuffer: answerLimitBytes,
      timeout: answerLimitMs,
    });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`the Go peer: ${stderr}`);
    return JSON.parse(stdout);
  };
  return {
    open(notes, vkey) {
      const texts = ask({ op: 'open', notes, vkey }) as string[];
      return texts.map((text) => (text === '' ? undefined : text));
    },
    sign: (texts, skey) => ask({ op: 'sign', texts, skey }) as string[],
    check(claims) {
      const reasons = ask({ op: 'check', claims: claims.map(goClaim) }) as string[];
      return reasons.map((reason) => reason === '');
    },
    prove(entries) {
      const made = ask({ op: 'prove', entries: entries.map(toBase64) }) as GoJson[];
      return made.map(({ root, inclusion, consistency }) => ({
        root: fromBase64(root),
        inclusion: inclusion.map((path) => path.map(fromBase64)),
        consistency: consistency.map((path) => path.map(fromBase64)),
      }));
    },
    walk: (folder, vkey) => (ask({ op: 'walk', folder, vkey }) as string[]).map(fromBase64),
  };
}

/** Node's own codec: a hundred thousand proofs pass through here. */
function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'));
}

interface GoJson {
  readonly root: string;
  readonly inclusion: readonly (readonly string[])[];
  readonly consistency: readonly (readonly string[])[];
}

function goClaim(claim: InclusionClaim | ConsistencyClaim): object {
  const path = claim.path.map(toBase64);
  if ('index' in claim) {
    const { size, root, index, leafHash } = claim;
    return { size, root: toBase64(root), index, leaf: toBase64(leafHash), path };
  }
  const { fromSize, fromRoot, toSize, toRoot } = claim;
  const older = { size: fromSize, root: toBase64(fromRoot) };
  return { size: toSize, root: toBase64(toRoot), older, path };
}
