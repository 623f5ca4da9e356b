import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { specOf } from '#core/certificate/kinds.ts';
import type { SignedDraft } from '#core/certificate/entry.ts';
import { verifyCheckpoint, type VerifiedCheckpoint } from '#core/tlog/checkpoint.ts';
import { parseVkey } from '#core/tlog/note.ts';
import type { LogFolder } from '#ledger/log-folder.ts';
import { listenOn, urlOf } from '#platform/listen.ts';
import { createLogger } from '#platform/logger.ts';
import { systemClock } from '#platform/clock.ts';
import type { Pool } from '#platform/postgres.ts';
import { createWitness, type Witness } from '#witness/service.ts';
import * as people from './log-people.ts';
import { quickEngine, startTestPostgres, type TestPostgres } from './postgres.ts';
import { ingestionSigner, testLog, testSigner } from './register.ts';
import { scratchFolder } from './test-ledger.ts';

/** Real witnesses over sockets for tests of a ledger, each behind a gate that can lie for it. */

/** Answers in the witness's stead; `forward` is what the witness would say. */
export type Lie = (asked: {
  readonly path: string;
  readonly body: Uint8Array;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly forward: () => Promise<void>;
}) => Promise<void> | void;

export interface GatedWitness {
  readonly name: string;
  readonly vkey: string;
  /** Stays the same when the witness behind it is started again. */
  readonly url: string;
  /** How often it was asked to cosign. */
  readonly asked: () => number;
  /** Undefined: says what the witness says. */
  lie: Lie | undefined;
  /** What the policy says of it. */
  readonly line: string;
  readonly stop: () => Promise<void>;
  /** Starts a stopped one again, on the same store or on that of another folder. */
  readonly start: (folder?: string) => Promise<void>;
  readonly folder: string;
  readonly close: () => Promise<void>;
}

const logger = createLogger({ name: 'test', level: 'silent' });

export const away: Lie = ({ request: { socket } }) => {
  socket.destroy();
};

/** A plain witness of the test log; `name` is in its key's name and its line. */
export async function startGatedWitness(
  name: string,
  { logVkeys = [people.logVkey] }: { logVkeys?: readonly string[] } = {},
): Promise<GatedWitness> {
  const folder = join(scratchFolder(), name);
  const open = async (at: string): Promise<Witness> => {
    const witness = createWitness({
      name: `${name}.example`,
      signer: testSigner(`witness ${name}`),
      folder: at,
      logs: logVkeys.map((vkey) => ({ key: parseVkey(vkey) })),
      clock: systemClock,
      listen: { host: '127.0.0.1', port: 0 },
      logger,
    });
    await witness.start();
    return witness;
  };
  let witness: Witness | undefined = await open(folder);
  const { vkey } = witness;
  let asked = 0;
  const server = createServer((incoming, response) => {
    if (incoming.method === 'POST') asked += 1;
    void answer(incoming, response);
  });
  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = new Uint8Array(Buffer.concat(chunks));
    const path = incoming.url ?? '';
    const forward = (): Promise<void> => {
      if (witness === undefined) {
        incoming.socket.destroy();
        return Promise.resolve();
      }
      return forwardTo(`${witness.url()}${path}`, { incoming, response, body });
    };
    await (gated.lie ?? (() => forward()))({ path, body, request: incoming, response, forward });
  };
  await listenOn(server, { host: '127.0.0.1', port: 0 });
  const url = urlOf(server);
  const gated: GatedWitness = {
    name,
    vkey,
    url,
    folder,
    lie: undefined,
    asked: () => asked,
    line: `witness ${name} ${vkey} ${url}`,
    async stop() {
      await witness?.stop();
      witness = undefined;
    },
    async start(at = folder) {
      witness = await open(at);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await witness?.stop();
    },
  };
  return gated;
}

function forwardTo(
  url: string,
  {
    incoming,
    response,
    body,
  }: { incoming: IncomingMessage; response: ServerResponse; body: Uint8Array },
): Promise<void> {
  return new Promise((resolve) => {
    const { method, headers } = incoming;
    const onward = request(url, { method, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
      answer.once('close', resolve);
    });
    onward.once('error', () => {
      response.destroy();
      resolve();
    });
    onward.end(body);
  });
}

/** `needed` of the witnesses must cosign. */
export function policyText(needed: number, ...witnesses: readonly GatedWitness[]): string {
  const names = witnesses.map(({ name }) => name).join(' ');
  const lines = [`log ${people.logVkey}`, ...witnesses.map(({ line }) => line)];
  return [...lines, `group all ${needed} ${names}`, 'quorum all', ''].join('\n');
}

/** A genesis with this policy and without `state` entries, so that tests can count entries. */
export function genesisWith(policy: string | undefined): SignedDraft {
  const kinds = Object.keys(specOf)
    .filter((kind) => kind !== 'state')
    .sort();
  return people.signed('genesis', {
    formatVersion: 1,
    ingestionKey: ingestionSigner.jwk,
    issuers: { keys: [people.issuerSigner.jwk], threshold: 1 },
    logKey: people.logVkey,
    origin: testLog,
    ...(policy !== undefined && { policy }),
    rules: { ...people.rulesOfTest, kinds },
  });
}

/** The published checkpoint with whom it was cosigned by; undefined when there is none. */
export async function publishedBy(
  folder: Pick<LogFolder, 'read'>,
  witnesses: readonly GatedWitness[],
  logVkey = people.logVkey,
): Promise<(VerifiedCheckpoint & { readonly by: readonly string[] }) | undefined> {
  const note = await folder.read('checkpoint');
  if (note === undefined) return undefined;
  const checkpoint = verifyCheckpoint(note, {
    log: parseVkey(logVkey),
    cosigners: witnesses.map(({ vkey }) => parseVkey(vkey)),
  });
  const names = checkpoint.cosignatures.map(({ name }) => name.replace('.example', ''));
  return { ...checkpoint, by: names.sort() };
}

/** Witnesses that failed are asked again at once, and nobody is spared: tests see every answer. */
export const eager = { cosignTimeoutMs: 60_000, cosignGraceMs: 30_000, retryWitnessAfterMs: 0 };
/** A witness that failed is left alone for longer than any test takes. */
export const patient = {
  ...eager,
  retryWitnessAfterMs: 3_600_000,
  retryWitnessWithinMs: 3_600_000,
};

/** Witnesses and databases that `clear` lets go of. */
export function createCosigningRig(): {
  readonly witnesses: <Names extends readonly string[]>(
    ...names: Names
  ) => Promise<{ -readonly [Index in keyof Names]: GatedWitness }>;
  readonly database: () => Promise<Pool>;
  readonly clear: () => Promise<void>;
} {
  const witnesses: GatedWitness[] = [];
  const databases: TestPostgres[] = [];
  return {
    async witnesses<Names extends readonly string[]>(...names: Names) {
      const all = await Promise.all(names.map((name) => startGatedWitness(name)));
      witnesses.push(...all);
      return all as { -readonly [Index in keyof Names]: GatedWitness };
    },
    async database() {
      const fresh = await startTestPostgres(quickEngine);
      databases.push(fresh);
      return fresh.pool;
    },
    async clear() {
      await Promise.all(witnesses.splice(0).map((witness) => witness.close()));
      await Promise.all(databases.splice(0).map(({ stop }) => stop()));
    },
  };
}
