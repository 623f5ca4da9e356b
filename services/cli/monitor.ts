import { join } from 'node:path';
import { sha256 } from '#crypto';
import { toHex } from '#core/bytes.ts';
import { encodeEquivocation } from '#core/certificate/misbehaviour/misbehaviour.ts';
import { printable } from '#core/certificate/proof/ladder.ts';
import { Refused } from '#core/errors.ts';
import { accusedBy, openSignedState } from '#core/tlog/equivocation.ts';
import { concludeRound, type Conclusion } from '#core/tlog/monitor.ts';
import { freshStates } from '#core/tlog/monitored-states.ts';
import { maxNoteBytes } from '#core/tlog/note.ts';
import type { Policy } from '#core/tlog/policy.ts';
import { systemClock, type Clock } from '#platform/clock.ts';
import { ensureFolder, writeFileDurably } from '#platform/durable-file.ts';
import { lockFolder } from '#platform/folder-lock.ts';
import { httpLogReader } from '#platform/log-reader.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { readPolicy } from './read-file.ts';
import { compare, look, type Look, type Sources } from './monitor-round.ts';
import { openMonitorStore, type MonitorStore } from './monitor-store.ts';

export interface MonitorOptions {
  /** Where the log's static files are served. */
  readonly log: string;
  /** The policy file: whose log this is, and which witnesses are asked. */
  readonly policy: string;
  /** The folder that is this monitor's alone. */
  readonly store: string;
  readonly everyS: number;
  /** A log whose newest state is older than this is called silent. */
  readonly staleAfterS: number;
  readonly once: boolean;
}

export interface MonitorHost {
  readonly clock: Clock;
  /** Ends the monitor after the round that it is in. */
  readonly signal: AbortSignal;
  /** For one file of the log, or one witness's answer. */
  readonly timeoutMs: number;
}

const timeoutMs = 10_000;
/** A round that failed is followed by a longer pause, up to this or the one that was asked for. */
const longestPauseMs = 300_000;
/** So many contradictions of one round are written down; one is enough. */
const evidencePerRound = 8;

/** Runs until the process is asked to end; asked twice, it ends at once. */
export async function monitor(options: MonitorOptions, terminal: Terminal): Promise<number> {
  const stop = new AbortController();
  const ask = (): void => {
    stop.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, ask);
  try {
    const { signal } = stop;
    return await runMonitor(options, terminal, { clock: systemClock, signal, timeoutMs });
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, ask);
  }
}

/**
 * `hourseal monitor`: follows a log and its witnesses, and keeps what they signed. Ends with 1 once two
 * signed states contradict each other, the evidence being in the store, and whenever it is started on a
 * store that has evidence; else, after one round or when asked to end, with what the last round found:
 * 0 nothing wrong, 3 no answer from the log, 4 something that is not as it should be.
 * Refused when policy or store cannot be used, or another process has the store.
 */
export async function runMonitor(
  options: MonitorOptions,
  terminal: Terminal,
  host: MonitorHost,
): Promise<number> {
  const policy = await readPolicy(options.policy);
  const sources = sourcesOf(options, { policy, timeoutMs: host.timeoutMs });
  await ensureFolder(options.store, 0o700);
  const lock = await lockFolder(options.store);
  try {
    const kept = await openMonitorStore(lock, sources.open);
    try {
      return await follow({ ...options, ...host, policy, sources, kept, terminal });
    } finally {
      await kept.close();
    }
  } finally {
    await lock.release();
  }
}

/** The log is the one that the policy names; of several, the one that it says is at this URL. */
function sourcesOf(
  { log }: MonitorOptions,
  { policy, timeoutMs: limitMs }: { readonly policy: Policy; readonly timeoutMs: number },
): Sources {
  const origins = new Set(policy.logs.map(({ key }) => key.name));
  const here = policy.logs.filter(({ url }) => origins.size === 1 || url === log);
  const logs = here.map(({ key }) => key);
  const [first] = logs;
  if (first === undefined || logs.some(({ name }) => name !== first.name)) {
    throw new Refused('policy', `the policy does not say which log is at ${log}`);
  }
  const witnesses = policy.witnesses.map(({ key }) => key);
  return {
    origin: first.name,
    // No tile is larger than a note may be.
    read: httpLogReader(log, { timeoutMs: limitMs, limitBytes: maxNoteBytes }),
    witnesses: policy.witnesses.filter(({ url }) => url !== undefined),
    witnessTimeoutMs: limitMs,
    open: (note) => openSignedState(note, { logs, witnesses }),
  };
}

interface Monitor extends Omit<MonitorOptions, 'policy'>, MonitorHost {
  readonly policy: Policy;
  readonly sources: Sources;
  readonly kept: MonitorStore;
  readonly terminal: Terminal;
}

async function follow(context: Monitor): Promise<number> {
  const { kept, once, signal, clock, everyS } = context;
  const tell = teller(context);
  let failures = 0;
  for (;;) {
    if (kept.evidence().length > 0) {
      tell.evidence(kept.evidence());
      return exitCodes.failed;
    }
    const code = await round(context, tell);
    if (code === exitCodes.failed) continue;
    if (once || signal.aborted) return code;
    failures = code === exitCodes.unreadable ? failures + 1 : 0;
    const pauseMs = everyS * 1000;
    const longerMs = Math.min(pauseMs * 2 ** Math.min(failures, 20), longestPauseMs);
    try {
      await clock.sleep(Math.max(pauseMs, longerMs), signal);
    } catch (error) {
      if (error === signal.reason) return code;
      throw error;
    }
  }
}

/** One round. What was signed is durable before anything is concluded from it. */
async function round(context: Monitor, tell: Teller): Promise<number> {
  const { kept, sources, clock, policy } = context;
  const seen = await look(sources);
  const before = kept.memory();
  await kept.keepStates(freshStates(before, seen));
  const relations = await compare(before, seen, sources.read);
  const conclusion = concludeRound(before, { ...seen, policy, relations });
  for (const pair of conclusion.contradictions.slice(0, evidencePerRound)) {
    await keepEvidence(context, pair);
  }
  if (conclusion.contradictions.length > 0) return exitCodes.failed;
  await kept.remember(conclusion.memory, clock.nowS());
  const alarms = [...seen.alarms, ...conclusion.alarms, ...staleness(context, seen)];
  tell.round(conclusion, alarms);
  if (seen.isSilent) return exitCodes.unreadable;
  return alarms.length > 0 ? exitCodes.undecided : exitCodes.verified;
}

function staleness({ kept, clock, staleAfterS }: Monitor, { shown }: Look): string[] {
  const sinceS = kept.headSinceS();
  if (shown === undefined || sinceS === undefined || clock.nowS() - sinceS <= staleAfterS)
    return [];
  return [`the log has shown nothing new since ${timeOf(sinceS)}`];
}

/** A file for everybody who is accused: each that signed both. */
async function keepEvidence(
  { store: folder, kept }: Pick<Monitor, 'store' | 'kept'>,
  { smaller, larger, boundary }: Conclusion['contradictions'][number],
): Promise<void> {
  for (const keys of accusedBy(smaller, larger)) {
    const bytes = encodeEquivocation({ first: smaller.note, second: larger.note, boundary, keys });
    const file = `equivocation-${toHex(sha256(bytes)).slice(0, 16)}.hourseal-evidence.json`;
    await writeFileDurably(join(folder, file), bytes);
    await kept.keepEvidence(file);
  }
}

interface Teller {
  readonly evidence: (files: readonly string[]) => void;
  readonly round: (conclusion: Conclusion, alarms: readonly string[]) => void;
}

/** Says each thing once, for as long as it lasts. */
function teller({ terminal, store, sources, clock, once }: Monitor): Teller {
  const { style } = terminal;
  const say = (text: string): void => {
    terminal.out(`${timeOf(clock.nowS())} ${text}\n`);
  };
  let told: readonly string[] = [];
  return {
    evidence(files) {
      say(style.red(`${sources.origin}: two signed states cannot both be true; evidence:`));
      for (const file of files) say(style.red(`  ${join(store, file)}`));
      say('check it with  npx hourseal verify --policy POLICY FILE');
    },
    round({ notes }, alarms) {
      for (const note of notes) say(`${sources.origin}: ${printable(note)}`);
      for (const alarm of alarms) {
        if (!told.includes(alarm)) say(style.amber(`${sources.origin}: ${printable(alarm)}`));
      }
      if (told.length > 0 && alarms.length === 0)
        say(`${sources.origin}: nothing is wrong any more`);
      if (once && notes.length === 0 && alarms.length === 0) say(`${sources.origin}: nothing new`);
      told = alarms;
    },
  };
}

function timeOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
