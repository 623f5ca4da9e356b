import { parseSignedAction } from '#core/certificate/signed-action.ts';
import { Refused } from '#core/errors.ts';
import { inTransaction, type Pool, type Sql } from '#platform/postgres.ts';

/**
 * Requests to enter signed actions (infra/migrations/0017-actions.sql). A request is told apart by who
 * makes it and by a key that the requester chose: made again it has the same answer, for as long as
 * answers are kept, and with another body it is an error.
 */

export interface ActionRequest {
  /** Who asks, as the caller knows it: at most 128 bytes. */
  readonly requester: string;
  /** Chosen by the requester, once for each thing that it wants: at most 255 bytes. */
  readonly requestKey: string;
  /** The exact bytes of a signed action. */
  readonly body: Uint8Array;
}

export type ActionAnswer =
  | { readonly state: 'waiting' }
  | {
      readonly state: 'entered';
      readonly index: number;
      /** Under a published checkpoint: what may be shown as certified (D3.4). */
      readonly isPublished: boolean;
    }
  | { readonly state: 'refused'; readonly code: string; readonly message: string };

/** The ledger decides thousands a second; whoever has more waiting than this should wait, too. */
export const waitingPerRequester = 10_000;
/** How long an answer is kept for whoever asks again. */
export const answersKeptS = 30 * 86_400;
const forgottenAtOnce = 1_000;
export const requestsAtOnce = 1_000;

/** Longer than any id or key; the table holds the exact limits. */
const textLimits = { requester: 128, requestKey: 255 } as const;

/** So that what is counted is what there is, and two of one key meet. */
const lockSql = `select pg_advisory_xact_lock(hashtextextended('action ' || $1, 0))`;
const forgetSql = `
  delete from action where action_id in (
    select action_id from action where decided_at < $1 order by decided_at limit ${forgottenAtOnce})`;
const waitingSql = `
  select count(*) as waiting from action where requester = $1 and decided_at is null`;
const insertSql = `
  insert into action (requester, request_key, body, received_at)
  select $1, key, body, $4 from unnest($2::text[], $3::bytea[]) with ordinality as r (key, body, n)
  order by n
  on conflict (requester, request_key) do nothing`;
const readSql = `
  select request_key, body, entry_index, code, message,
         coalesce(entry_index < (select published_size from checkpoint where one), false) as is_published
    from action where requester = $1 and request_key = any($2::text[])`;

interface AnswerRow {
  readonly request_key: string;
  readonly body: Uint8Array;
  readonly entry_index: number | null;
  readonly code: string | null;
  readonly message: string | null;
  readonly is_published: boolean;
}

/**
 * Takes in requests of one requester, all or none, in their order; what was asked before changes
 * nothing. Resolves to the answers, by request key. Refused as `parseSignedAction`, naming the request;
 * 'request' for keys that are none, 'request-key' where the key was used for another body, 'full'
 * where too many wait, 'origin' for another log's.
 */
export async function requestActions(
  pool: Pool,
  requests: readonly ActionRequest[],
  { origin, nowS }: { readonly origin: string; readonly nowS: number },
): Promise<ReadonlyMap<string, ActionAnswer>> {
  const [first] = requests;
  if (first === undefined) return new Map();
  const { requester } = first;
  requireForm(requests, { requester, origin });
  const keys = requests.map(({ requestKey }) => requestKey);
  const bodies = requests.map(({ body }) => body);
  return inTransaction(pool, async (sql) => {
    await sql.run(lockSql, [requester]);
    await sql.run(forgetSql, [nowS - answersKeptS]);
    const added = await sql.run(insertSql, [requester, keys, bodies, nowS]);
    if (added > 0) {
      const { waiting } = await sql.row<{ waiting: number }>(waitingSql, [requester]);
      if (waiting > waitingPerRequester) {
        throw new Refused('full', `more than ${waitingPerRequester} actions of ${requester} wait`);
      }
    }
    const rows = await readRows(sql, requester, keys);
    for (const { requestKey, body } of requests) {
      const row = rows.get(requestKey);
      if (row === undefined || Buffer.compare(row.body, body) !== 0) {
        throw new Refused('request-key', `${requestKey} was used for another action`);
      }
    }
    return new Map([...rows].map(([key, row]) => [key, answerOf(row)]));
  });
}

function requireForm(
  requests: readonly ActionRequest[],
  { requester, origin }: { readonly requester: string; readonly origin: string },
): void {
  if (requests.length > requestsAtOnce) {
    throw new Refused('request', `more than ${requestsAtOnce} requests at once`);
  }
  const seen = new Set<string>();
  for (const request of requests) {
    const { requestKey, body } = request;
    if (request.requester !== requester) throw new RangeError('requestActions: two requesters');
    requireText('requester', requester);
    requireText('requestKey', requestKey);
    if (seen.has(requestKey)) throw new Refused('request-key', `${requestKey} is there twice`);
    seen.add(requestKey);
    try {
      const action = parseSignedAction(body);
      if (action.origin !== origin) throw new Refused('origin', `meant for ${action.origin}`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      throw new Refused(error.code, `${requestKey}: ${error.message}`, { cause: error });
    }
  }
}

function requireText(what: keyof typeof textLimits, text: string): void {
  const bytes = Buffer.byteLength(text);
  const isPlain = /^[^\p{Cc}\p{Cs}]+$/u.test(text);
  if (bytes > textLimits[what] || !isPlain) {
    const form = `1 to ${textLimits[what]} bytes without control characters`;
    throw new Refused('request', `${what}: not a text of ${form}`);
  }
}

async function readRows(
  sql: Sql,
  requester: string,
  keys: readonly string[],
): Promise<ReadonlyMap<string, AnswerRow>> {
  const rows = await sql.rows<AnswerRow>(readSql, [requester, keys]);
  return new Map(rows.map((row) => [row.request_key, row]));
}

/** Undefined where nothing was asked under that key, or its answer is forgotten. */
export async function readAnswer(
  pool: Pool,
  { requester, requestKey }: Pick<ActionRequest, 'requester' | 'requestKey'>,
): Promise<ActionAnswer | undefined> {
  const row = (await readRows(pool, requester, [requestKey])).get(requestKey);
  return row && answerOf(row);
}

function answerOf({ entry_index: index, code, message, is_published }: AnswerRow): ActionAnswer {
  if (index !== null) return { state: 'entered', index, isPublished: is_published };
  if (code !== null) return { state: 'refused', code, message: message ?? '' };
  return { state: 'waiting' };
}
