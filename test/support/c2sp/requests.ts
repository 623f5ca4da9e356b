import { decodeUtf8 } from '#core/bytes.ts';
import { formatAddCheckpoint } from '#core/tlog/add-checkpoint.ts';
import {
  ed25519Type,
  formatNote,
  noteSigner,
  parseNote,
  signNote,
  verifierKeyOf,
  type NoteSigner,
  type VerifierKey,
} from '#core/tlog/note.ts';
import { history, logSigner, testKey, type History } from '../../integration/witness/rig.ts';

/** Requests that any witness answers (c2sp.org/tlog-witness), with what ours and another's say. */

/** A log for one case alone, so that no case depends on another. */
export interface CaseLog {
  readonly log: string;
  readonly key: VerifierKey;
  readonly signer: NoteSigner;
  readonly history: History;
  /** Another one, with three entries in common. */
  readonly fork: History;
}

export function logOf(i: number): CaseLog {
  const log = `log.example/case-${i}`;
  return {
    log,
    key: verifierKeyOf(log, ed25519Type, logSigner),
    signer: noteSigner(log, logSigner),
    history: history('a', { log }),
    fork: history('b', { log, common: 3 }),
  };
}

export interface Case {
  readonly what: string;
  /** The size that both have cosigned before. */
  readonly from: number;
  readonly body: (log: CaseLog) => Promise<Uint8Array | string> | Uint8Array | string;
  /** Ours and litewitness's. Where they differ, the words of the specification say who is right. */
  readonly statuses: readonly [number, number];
}

const textOf = (history: History, size: number): string => decodeUtf8(history.note(size));
const requestOf = async (history: History, from: number, to: number): Promise<string> =>
  decodeUtf8(formatAddCheckpoint(await history.request(from, to)));
const signedBy = (signer: NoteSigner, text: string): string =>
  decodeUtf8(formatNote(signNote({ text }, [signer])));
const aHash = `${'A'.repeat(43)}=\n`;

export const cases: readonly Case[] = [
  {
    what: 'the first checkpoint',
    from: 0,
    body: ({ history }) => requestOf(history, 0, 9),
    statuses: [200, 200],
  },
  {
    what: 'a greater one',
    from: 5,
    body: ({ history }) => requestOf(history, 5, 9),
    statuses: [200, 200],
  },
  {
    what: 'the same one again',
    from: 5,
    body: ({ history }) => requestOf(history, 5, 5),
    statuses: [200, 200],
  },
  {
    what: 'a stale size',
    from: 5,
    body: ({ history }) => requestOf(history, 0, 9),
    statuses: [409, 409],
  },
  {
    what: 'a size that it never saw',
    from: 5,
    body: ({ history }) => requestOf(history, 6, 9),
    statuses: [409, 409],
  },
  {
    what: 'a path that was cut',
    from: 5,
    body: async ({ history }) => (await requestOf(history, 5, 9)).replace(/\n[^\n]+\n\n/, '\n\n'),
    statuses: [422, 422],
  },
  {
    what: 'no path at all',
    from: 5,
    body: ({ history }) => `old 5\n\n${textOf(history, 9)}`,
    statuses: [422, 422],
  },
  {
    what: 'a path of another history',
    from: 5,
    body: ({ fork }) => requestOf(fork, 5, 9),
    statuses: [422, 422],
  },
  {
    what: 'another root of the same size',
    from: 5,
    body: ({ fork }) => requestOf(fork, 5, 5),
    statuses: [422, 422],
  },
  {
    what: 'an old size above the new one',
    from: 5,
    body: ({ history }) => `old 5\n\n${textOf(history, 4)}`,
    statuses: [400, 400],
  },
  {
    what: 'another log',
    from: 0,
    body: () => requestOf(history('a', { log: 'log.example/other' }), 0, 1),
    statuses: [404, 404],
  },
  {
    what: 'the signature of somebody else in its name',
    from: 0,
    body: ({ log, history: { note } }) =>
      `old 0\n\n${signedBy(noteSigner(log, testKey('x')), parseNote(note(9)).text)}`,
    statuses: [403, 403],
  },
  {
    what: 'a bad signature by its key',
    from: 0,
    body: ({ signer, history: { note } }) => {
      const bad = { ...signer, sign: () => new Uint8Array(64) };
      return `old 0\n\n${signedBy(bad, parseNote(note(9)).text)}`;
    },
    statuses: [403, 403],
  },
  { what: 'no empty line', from: 0, body: () => 'old 0\n', statuses: [400, 400] },
  {
    what: 'no old size',
    from: 0,
    body: ({ history }) => `\n${textOf(history, 9)}`,
    statuses: [400, 400],
  },
  {
    what: 'a path that is no base64',
    from: 5,
    body: ({ history }) => `old 5\n!\n\n${textOf(history, 9)}`,
    statuses: [400, 400],
  },
  {
    // "The client MUST NOT send more than 63 consistency proof lines."
    what: '64 hashes',
    from: 5,
    body: ({ history }) => `old 5\n${aHash.repeat(64)}\n${textOf(history, 9)}`,
    statuses: [400, 400],
  },
  {
    // "an ASCII decimal with no leading zeroes"
    what: 'an old size with a zero before it',
    from: 5,
    body: async ({ history }) => (await requestOf(history, 5, 9)).replace('old 5', 'old 05'),
    statuses: [400, 200],
  },
  {
    // "If the proof is not empty when the old size is zero … the witness MUST respond with a 422"
    what: 'a path from size 0',
    from: 0,
    body: ({ history }) => `old 0\n${aHash}\n${textOf(history, 9)}`,
    statuses: [422, 200],
  },
  {
    // "A checkpoint of size zero MUST have the root hash of the empty tree … Otherwise … 422"
    what: 'another root at size 0',
    from: 0,
    body: ({ log, signer }) => `old 0\n\n${signedBy(signer, `${log}\n0\n${aHash}`)}`,
    statuses: [422, 200],
  },
  {
    // "Extension lines … OPTIONAL", and "NOT RECOMMENDED": D3.4 allows none.
    what: 'extension lines',
    from: 0,
    body: ({ signer, history: { note } }) =>
      `old 0\n\n${signedBy(signer, `${parseNote(note(9)).text}more\n`)}`,
    statuses: [400, 200],
  },
  {
    // "Signed notes … MUST NOT contain any ASCII control characters": no status is named for that.
    what: 'a control character',
    from: 0,
    body: ({ history }) => `old 0\n\n${textOf(history, 9)}\t\n`,
    statuses: [400, 500],
  },
];
