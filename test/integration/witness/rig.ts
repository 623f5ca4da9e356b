import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { utf8 } from '#core/bytes.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import type { Signer } from '#core/signer.ts';
import type { CosignRequest } from '#core/tlog/add-checkpoint.ts';
import { signCheckpoint } from '#core/tlog/checkpoint.ts';
import { ed25519Type, noteSigner, verifierKeyOf } from '#core/tlog/note.ts';
import { proveConsistency } from '#core/tlog/proof.ts';
import { emptyEdge, growEdge, leafHash, treeRoot } from '#core/tlog/tree.ts';
import { systemClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import { createWitness, type Witness, type WitnessContext } from '#witness/service.ts';

export const origin = 'log.example/witnessed';
export const witnessName = 'witness.example/one';
export const silent = createLogger({ name: 'test', level: 'silent' });

/** Keys are derived from what they are for, so that every process of a test has the same. */
export function testKey(what: string): Signer {
  return signerFromSeed(sha256(utf8(`hourseal witness test ${what}`)));
}

export const logSigner = testKey('log');
export const witnessSigner = testKey('witness');
export const logKey = verifierKeyOf(origin, ed25519Type, logSigner);

/** One history of a log: entries named after it, from `common` on; those before are shared by all. */
export interface History {
  readonly root: (size: number) => Uint8Array;
  /** The signed checkpoint at a size, as bytes. */
  readonly note: (size: number) => Uint8Array;
  /** A right request from one size to another. */
  readonly request: (from: number, to: number) => Promise<CosignRequest>;
}

export function history(
  name: string,
  options: {
    readonly common?: number;
    readonly maxSize?: number;
    readonly signer?: Signer;
    readonly log?: string;
  } = {},
): History {
  const { common = 0, maxSize = 64, signer = logSigner, log = origin } = options;
  const leaves = Array.from({ length: maxSize }, (_, i) =>
    leafHash(utf8(i < common ? `entry ${i}` : `${name} ${i}`)),
  );
  const { completed } = growEdge(emptyEdge, leaves);
  const hashes = new Map(completed.map(({ level, index, hash }) => [`${level},${index}`, hash]));
  const root = (size: number): Uint8Array => treeRoot(leaves.slice(0, size));
  const note = (size: number): Uint8Array =>
    signCheckpoint({ origin: log, size, root: root(size) }, [noteSigner(log, signer)]);
  return {
    root,
    note,
    async request(from, to) {
      const proof = await proveConsistency({ from, to }, async (coordinates) =>
        coordinates.map(({ level, index }) => {
          const hash = hashes.get(`${level},${index}`);
          if (hash === undefined) throw new Error(`no hash (${level}, ${index})`);
          return hash;
        }),
      );
      return { oldSize: from, proof, note: note(to) };
    },
  };
}

/** Folders and witnesses that are let go of by `clear`. */
export function createRig(): {
  readonly folder: () => string;
  readonly start: (context?: Partial<WitnessContext>) => Promise<Witness>;
  readonly stop: (witness: Witness) => Promise<void>;
  readonly clear: () => Promise<void>;
} {
  const folders: string[] = [];
  const running = new Set<Witness>();
  const folder = (): string => {
    const made = mkdtempSync(join(tmpdir(), 'hourseal-witness-'));
    folders.push(made);
    return made;
  };
  const stop = async (witness: Witness): Promise<void> => {
    if (running.delete(witness)) await witness.stop();
  };
  return {
    folder,
    stop,
    async start(context = {}) {
      const witness = createWitness({
        name: witnessName,
        signer: witnessSigner,
        folder: context.folder ?? folder(),
        logs: [{ key: logKey }],
        clock: systemClock,
        listen: { host: '127.0.0.1', port: 0 },
        logger: silent,
        ...context,
      });
      await witness.start();
      running.add(witness);
      return witness;
    },
    async clear() {
      for (const witness of [...running]) await stop(witness);
      for (const one of folders.splice(0)) rmSync(one, { recursive: true, force: true });
    },
  };
}

/** The answer to bytes sent as they are, with its headers. */
export async function post(
  witness: Witness,
  body: Uint8Array | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; type: string | null; text: string; retryAfter: string | null }> {
  const response = await fetch(`${witness.url()}/add-checkpoint`, {
    method: 'POST',
    body: typeof body === 'string' ? body : Uint8Array.from(body),
    headers,
  });
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    retryAfter: response.headers.get('retry-after'),
    text: await response.text(),
  };
}

/** What a socket hears that writes bytes of its own making, until the other side closes it. */
export function rawExchange(witness: Witness, bytes: Uint8Array | string): Promise<string> {
  const { hostname, port } = new URL(witness.url());
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    let heard = '';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => (heard += text));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve(heard);
    });
    socket.write(bytes);
  });
}
