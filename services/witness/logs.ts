import { Refused } from '#core/errors.ts';
import { ed25519Type, type VerifierKey } from '#core/tlog/note.ts';
import { parsePolicy } from '#core/tlog/policy.ts';

/** A log's key whose signatures a witness trusts, and where the log's files are. */
export interface LogKey {
  /** Of type 0x01; its name is the log's origin. */
  readonly key: VerifierKey;
  readonly url?: string | undefined;
}

export interface WatchedLog {
  readonly origin: string;
  /** Several while the log changes its key: a signature by one of them suffices. */
  readonly keys: readonly VerifierKey[];
  readonly url: string | undefined;
}

/**
 * The logs that a witness watches: `log <vkey> [<url>]` lines as in c2sp.org/tlog-policy, with its
 * comments and empty lines. Refused('witness-logs') for anything else, and for a file without a log.
 */
export function parseLogs(text: string): LogKey[] {
  // A policy ends its lines and says its quorum once; so a file with one of its own is refused.
  const quorum = text === '' || text.endsWith('\n') ? 'quorum none\n' : '\nquorum none\n';
  let logs: readonly LogKey[];
  try {
    const policy = parsePolicy(`${text}${quorum}`);
    if (policy.witnesses.length > 0) throw new Refused('policy', 'a line that is no log line');
    logs = policy.logs;
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Refused('witness-logs', cause.message, { cause });
  }
  if (logs.length === 0) throw new Refused('witness-logs', 'there is no log line');
  return [...logs];
}

/**
 * By origin. Refused('witness-logs') when a key is not a log's, when one stands twice, or when a log
 * has two URLs.
 */
export function watchedLogs(logs: readonly LogKey[]): ReadonlyMap<string, WatchedLog> {
  const watched = new Map<string, WatchedLog>();
  for (const { key, url } of logs) {
    const origin = key.name;
    if (key.type !== ed25519Type) throw new Refused('witness-logs', `${origin}: not a log's key`);
    const known = watched.get(origin) ?? { origin, keys: [], url };
    if (known.keys.some(({ keyId }) => keyId === key.keyId)) {
      throw new Refused('witness-logs', `${origin}: a key stands twice`);
    }
    if (known.url !== undefined && url !== undefined && known.url !== url) {
      throw new Refused('witness-logs', `${origin}: two URLs`);
    }
    watched.set(origin, { origin, keys: [...known.keys, key], url: known.url ?? url });
  }
  return watched;
}
