import { listenAddress, oneOf, path, readConfig, text } from '#platform/config.ts';
import type { Variables } from '#platform/config.ts';
import type { ListenAddress } from '#platform/listen.ts';

export interface WitnessLimits {
  readonly connections: number;
  /** From the first byte of a request to its last. */
  readonly requestMs: number;
  /** How long a request waits for its answer; then it is told to come again. */
  readonly answerMs: number;
  /** How long an auditor may take for one checkpoint, whether or not anybody still waits for it. */
  readonly judgeMs: number;
  /** When stopping: how long connections may take to end by themselves. */
  readonly stopMs: number;
  /** Requests about one log that wait while another is under way. */
  readonly waitingPerLog: number;
  /** What a client that is told to come again is told to wait. */
  readonly retryAfterS: number;
  /** How long others may keep what the monitoring prefix says. */
  readonly monitorCacheS: number;
  /** How far the clock may be behind the time of a cosignature given before, after a small step back. */
  readonly clockBehindS: number;
  /** Above this, and above twice its newest snapshot, the store is written anew. */
  readonly storeBytes: number;
}

export const defaultWitnessLimits: WitnessLimits = {
  connections: 256,
  requestMs: 10_000,
  answerMs: 30_000,
  judgeMs: 600_000,
  stopMs: 2_000,
  waitingPerLog: 16,
  retryAfterS: 1,
  monitorCacheS: 10,
  clockBehindS: 300,
  storeBytes: 1024 * 1024,
};

export const witnessVariables = {
  folder: path('WITNESS_FOLDER', { about: "Folder of the witness's own store" }),
  keyFile: path('WITNESS_KEY_FILE', { about: 'Private key of the witness, PKCS#8 PEM' }),
  name: text('WITNESS_NAME', {
    about: "The witness's name; that of an auditing witness, and no other, ends in /audit",
    pattern: /^[!-*,-~]{1,255}$/,
  }),
  listen: listenAddress('WITNESS_LISTEN', {
    about: 'Address and port that the witness listens on; port 0 takes a free one',
    default: '127.0.0.1:7380',
  }),
  logsFile: path('WITNESS_LOGS_FILE', {
    about: 'The logs that the witness watches, lines `log <vkey> <url>` as in a policy',
  }),
  audit: oneOf('WITNESS_AUDIT', {
    about: 'Whether it audits what the log says or only checks that the log grows: on or off',
    values: ['on', 'off'],
    default: 'off',
  }),
} satisfies Variables;

export interface WitnessConfig {
  readonly folder: string;
  readonly keyFile: string;
  readonly name: string;
  readonly listen: ListenAddress;
  readonly logsFile: string;
  readonly audit: boolean;
}

/** Refused('config') with everything that is wrong. */
export function readWitnessConfig(
  environment: Readonly<Record<string, string | undefined>>,
): WitnessConfig {
  const { audit, ...rest } = readConfig(witnessVariables, environment);
  return { ...rest, audit: audit === 'on' };
}
