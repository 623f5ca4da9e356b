import { sha256 } from '#crypto';
import { toHex, utf8 } from '#core/bytes.ts';
import { Failed, Refused } from '#core/errors.ts';
import {
  conflictType,
  formatAddCheckpoint,
  parseConflict,
  parseCosignatures,
  type CosignRequest,
} from '#core/tlog/add-checkpoint.ts';
import { parseCanonical } from '#core/jcs.ts';
import { instant, integer, object, pattern } from '#core/shape.ts';
import { maxNoteBytes, type NoteSignature } from '#core/tlog/note.ts';
import { DeadlinePassed, withDeadline } from './deadline.ts';
import { bodyOf } from './response-body.ts';

export type { CosignRequest };

/** What a witness said to a checkpoint. None of it has been verified: signatures neither. */
export type CosignAnswer =
  | { readonly result: 'cosigned'; readonly signatures: readonly NoteSignature[] }
  /** Its newest checkpoint has this size, not `oldSize`: build the proof from there. */
  | { readonly result: 'conflict'; readonly size: number }
  /** It does not want this checkpoint, now or later; `reason` is what it says, for people. */
  | { readonly result: 'refused'; readonly status: number; readonly reason: string };

export interface CallOptions {
  /** For the whole exchange, from connecting to the last byte of the answer. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** An answer has at most as many bytes as a note, whose signature lines it is to become. */
const maxAnswerBytes = maxNoteBytes;
/** Two notes, whose newlines JSON writes as two characters. */
const maxContradictionBytes = 4 * maxNoteBytes;
const maxReasonCharacters = 500;
/** Answers of the 400s that speak of the moment and not of the checkpoint. */
const passing: ReadonlySet<number> = new Set([408, 421, 425, 429]);

/**
 * Submits a checkpoint to the witness at `url` (its submission prefix, c2sp.org/tlog-witness).
 * Failed('witness') when nothing can be said about the checkpoint: no connection, too late, a
 * status of the 500s or a redirection, an answer that is not one. What the witness decided is then
 * unknown; asking again is safe. Rejects with the signal's reason once that aborts. RangeError when
 * the request is not one.
 */
export async function addCheckpoint(
  url: string,
  request: CosignRequest,
  options: CallOptions,
): Promise<CosignAnswer> {
  const body = Uint8Array.from(formatAddCheckpoint(request));
  const headers = { 'content-type': 'text/plain; charset=utf-8' };
  const answer = await call(`${prefix(url)}/add-checkpoint`, options, {
    method: 'POST',
    body,
    headers,
  });
  const { status, bytes, contentType } = answer;
  if (status === 200) return { result: 'cosigned', signatures: parsed(parseCosignatures, answer) };
  if (status === 409 && contentType === conflictType) {
    return { result: 'conflict', size: parsed(parseConflict, answer) };
  }
  if (status >= 400 && status < 500 && status !== 409 && !passing.has(status)) {
    return { result: 'refused', status, reason: reasonIn(bytes) };
  }
  throw failure(answer, reasonIn(bytes));
}

/**
 * The newest checkpoint of a log that a witness cosigned, as the bytes of a note, which nobody has
 * verified; undefined when it never cosigned one. `url` is what a policy says of a witness: its
 * submission prefix, below which `monitor` is the monitoring prefix of a witness of this project.
 * Failed('witness') and the signal as with `addCheckpoint`.
 */
export async function readMonitored(
  url: string,
  origin: string,
  options: CallOptions,
): Promise<Uint8Array | undefined> {
  const place = `${prefix(url)}/monitor/${originHash(origin)}/checkpoint`;
  const answer = await call(place, options, { method: 'GET' });
  if (answer.status === 200) return answer.bytes;
  if (answer.status === 404) return undefined;
  throw failure(answer, reasonIn(answer.bytes));
}

const note = pattern('[^\\u0000-\\u0009\\u000b-\\u001f]{1,131072}');
const contradictionShape = object({
  cosigned: note,
  refused: note,
  size: integer(0),
  time: instant,
});

/**
 * Two notes that a witness says the log signed for one size, with different roots: the bytes of both,
 * which nobody has verified; undefined when it tells of none. Places and failures as `readMonitored`;
 * Failed('witness') also for an answer of another form.
 */
export async function readContradiction(
  url: string,
  origin: string,
  options: CallOptions,
): Promise<readonly [Uint8Array, Uint8Array] | undefined> {
  const place = `${prefix(url)}/monitor/${originHash(origin)}/contradiction`;
  const limitBytes = maxContradictionBytes;
  const answer = await call(place, { ...options, limitBytes }, { method: 'GET' });
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw failure(answer, reasonIn(answer.bytes));
  const parse = (bytes: Uint8Array) => contradictionShape.parse(parseCanonical(bytes));
  const { cosigned, refused } = parsed(parse, answer);
  return [utf8(cosigned), utf8(refused)];
}

/** Under which name a monitoring prefix has what is said of a log. */
function originHash(origin: string): string {
  return toHex(sha256(utf8(origin)));
}

function prefix(url: string): string {
  return url.endsWith('/') ? url.slice(0, -1) : url;
}

interface Answer {
  readonly url: string;
  readonly status: number;
  /** Without parameters, in lower case; '' when it says none. */
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

async function call(
  url: string,
  { timeoutMs, signal, limitBytes = maxAnswerBytes }: CallOptions & { limitBytes?: number },
  init: RequestInit,
): Promise<Answer> {
  signal?.throwIfAborted();
  const ask = async (either: AbortSignal): Promise<Answer> => {
    // Whom to ask is the caller's decision, so no witness may send it elsewhere.
    const response = await fetch(url, { ...init, redirect: 'manual', signal: either });
    const [type = ''] = (response.headers.get('content-type') ?? '').split(';');
    const contentType = type.trim().toLowerCase();
    const bytes = await bodyOf(
      response,
      limitBytes,
      () => new Failed('witness', `${url}: an answer above ${limitBytes} bytes`),
    );
    return { url, status: response.status, contentType, bytes };
  };
  try {
    return await withDeadline(timeoutMs, ask, ...(signal === undefined ? [] : [signal]));
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof Failed) throw cause;
    const isLate = cause instanceof DeadlinePassed;
    const why = isLate ? `no answer within ${timeoutMs} ms` : 'no answer';
    throw new Failed('witness', `${url}: ${why}`, { cause });
  }
}

function parsed<T>(parse: (bytes: Uint8Array) => T, answer: Answer): T {
  try {
    return parse(answer.bytes);
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw failure(answer, cause.message, { cause });
  }
}

function failure({ url, status }: Answer, reason: string, options?: ErrorOptions): Failed {
  return new Failed('witness', `${url}: status ${status}: ${reason}`, options);
}

/** The beginning of what a witness wrote, in one line without control characters. */
function reasonIn(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes.subarray(0, 4 * maxReasonCharacters));
  return text
    .replaceAll(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, maxReasonCharacters);
}
