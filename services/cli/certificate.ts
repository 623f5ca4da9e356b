import { setTimeout as sleep } from 'node:timers/promises';
import { sha256Hex } from '#crypto';
import { parseSignedAction, signedActionLimitBytes } from '#core/certificate/signed-action.ts';
import { Failed, Refused, within } from '#core/errors.ts';
import { parseDuration } from '#devices/fault-plan.ts';
import { createPool, type Pool } from '#platform/postgres.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { readAnswer, requestActions, type ActionAnswer } from '#registry/requests.ts';
import { openInstallation } from '#standalone/installation.ts';
import { explainInUse, isInUse, type RegisterOptions } from './entering.ts';
import { readLimited } from './read-file.ts';

/** Signed actions, handed in. */

export interface EnterOptions extends RegisterOptions {
  /** What tells this request from others; by default what is handed in says it itself. */
  readonly requestKey?: string;
  /** How long a running ledger may take, such as 30s. */
  readonly wait: string;
}

/** Everything that commands hand in: who may run one has the installation's database. */
const requester = 'command';
const askAgainMs = 100;

/**
 * `hourseal certificate enter`: hands in actions that their accounts have signed. The same file again
 * has the same answer. Ends with 3 where one is refused.
 */
export async function enterSigned(
  files: readonly string[],
  options: EnterOptions,
  terminal: Terminal,
): Promise<number> {
  const { requestKey } = options;
  if (requestKey !== undefined && files.length > 1) {
    throw new Refused('request', '--request-key is for one file');
  }
  const requests: Handed[] = [];
  for (const file of files) {
    const body = await readLimited(file, signedActionLimitBytes);
    const { kind, origin } = within(file, () => parseSignedAction(body));
    requests.push({ file, body, kind, origin, requestKey: requestKey ?? sha256Hex(body) });
  }
  const answers = await atRegistry(options, (registry) => handIn(registry, requests, options));
  return say(requests, answers, terminal);
}

interface Handed {
  readonly file: string;
  readonly body: Uint8Array;
  readonly kind: string;
  readonly origin: string;
  readonly requestKey: string;
}

/** Where the database is, and who decides what waits in it. */
interface Registry {
  readonly pool: Pool;
  readonly nowS: number;
  /** Lets a ledger of this process decide; undefined beside a running one. */
  readonly decide: (() => Promise<unknown>) | undefined;
}

async function atRegistry<T>(
  { data }: RegisterOptions,
  work: (registry: Registry) => Promise<T>,
): Promise<T> {
  const databaseUrl = process.env.DATABASE_URL;
  const installation = await openInstallation(data, { databaseUrl }).catch((error: unknown) => {
    if (!isInUse(error)) throw error;
    if (databaseUrl === undefined) throw explainInUse(error);
    return undefined;
  });
  if (installation !== undefined) {
    try {
      const { pool, clock, ledger } = installation;
      return await work({ pool, nowS: clock.nowS(), decide: ledger.step });
    } finally {
      await installation.close();
    }
  }
  const pool = createPool(databaseUrl ?? '', { applicationName: 'hourseal' });
  try {
    return await work({ pool, nowS: Math.floor(Date.now() / 1000), decide: undefined });
  } finally {
    await pool.close();
  }
}

async function handIn(
  { pool, nowS, decide }: Registry,
  requests: readonly Handed[],
  { wait }: Pick<EnterOptions, 'wait'>,
): Promise<readonly ActionAnswer[]> {
  const { origin } = await pool.row<{ origin: string }>('select origin from log_setting');
  const untilMs = Date.now() + parseDuration(wait) * 1000;
  await requestActions(
    pool,
    requests.map(({ body, requestKey }) => ({ body, requester, requestKey })),
    { origin, nowS },
  );
  await decide?.();
  const answers: ActionAnswer[] = [];
  for (const { file, requestKey } of requests) {
    for (;;) {
      const answer = await readAnswer(pool, { requester, requestKey });
      if (answer !== undefined && answer.state !== 'waiting') {
        answers.push(answer);
        break;
      }
      if (decide !== undefined || Date.now() > untilMs) {
        throw new Failed('waiting', `${file}: handed in, and not decided yet: ask again`);
      }
      await sleep(askAgainMs);
    }
  }
  return answers;
}

function say(
  requests: readonly Handed[],
  answers: readonly ActionAnswer[],
  terminal: Terminal,
): number {
  let code: number = exitCodes.verified;
  requests.forEach(({ file, kind }, i) => {
    const answer = answers[i];
    if (answer?.state === 'entered') {
      const when = answer.isPublished ? '' : ', published as soon as a quorum has cosigned it';
      terminal.out(`entry ${answer.index}: ${kind}${when}\n`);
    } else if (answer?.state === 'refused') {
      terminal.err(`hourseal: ${file}: not entered (${answer.code}): ${answer.message}\n`);
      code = exitCodes.unreadable;
    }
  });
  return code;
}
