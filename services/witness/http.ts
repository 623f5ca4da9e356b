import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { raw, type Express, type Request, type Response } from 'express';
import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { Failed, Fatal } from '#core/errors.ts';
import { canonicalText } from '#core/jcs.ts';
import {
  conflictType,
  formatConflict,
  formatCosignatures,
  maxRequestBytes,
} from '#core/tlog/add-checkpoint.ts';
import type { Logger } from '#platform/logger.ts';
import type { WitnessLimits } from './config.ts';
import type { Outcome } from './cosign.ts';
import type { Unacceptable } from './examine.ts';
import type { Contradiction, Refusal } from './records.ts';

/** What the witness says to the body of an `add-checkpoint`. */
export type Reply = Outcome | { readonly result: Unacceptable; readonly reason: string };

/** What others may know of a log; every part is undefined when there is nothing to tell. */
export interface Monitored {
  readonly checkpoint: () => Uint8Array | undefined;
  readonly refusal: () => Refusal | undefined;
  readonly contradiction: () => Contradiction | undefined;
}

export interface HttpParts {
  readonly vkey: string;
  /** Failed when nothing was decided; anything else that it throws is not the client's doing. */
  readonly submit: (body: Uint8Array, gone: AbortSignal) => Promise<Reply>;
  /** By origin. */
  readonly monitored: ReadonlyMap<string, Monitored>;
  readonly limits: Pick<WitnessLimits, 'answerMs' | 'retryAfterS' | 'monitorCacheS'>;
  readonly logger: Logger;
}

/** For `createServer`. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const textType = 'text/plain; charset=utf-8';
const jsonType = 'application/json';

/**
 * What c2sp.org/tlog-witness has a status for gets that one. It has none for a checkpoint that is
 * consistent, and refused for what its entries say: that is 403 too, which to HTTP means
 * "understood, and will not be fulfilled" (RFC 9110, section 15.5.4). 422 would accuse the log of a
 * second history, and 409 would have the client come again with another proof. The reason is in the
 * body, beginning with a code.
 */
const statusOf = {
  form: 400,
  unsigned: 403,
  faulty: 403,
  'unknown-log': 404,
  inconsistent: 422,
} as const;

export function createHandler(parts: HttpParts): Handler {
  const app = express();
  app.disable('x-powered-by');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.set('query parser', false);
  const body = raw({ type: () => true, limit: maxRequestBytes, inflate: false });
  app.post('/add-checkpoint', body, (request: Request, response: Response) =>
    addCheckpoint(request, response, parts),
  );
  app.all('/add-checkpoint', (_request: Request, response: Response) => {
    response.setHeader('allow', 'POST');
    say(response, 405, 'a checkpoint is submitted by POST');
  });
  addMonitoring(app, parts);
  return (request, response) => {
    // Called when no route has answered, or one has failed: Express's own pages tell too much.
    const last = (error?: unknown): void => {
      if (response.headersSent) response.destroy();
      else if (error === undefined) say(response, 404, 'there is no such page');
      else answerError(response, error, parts);
    };
    app(request as Request, response as Response, last);
  };
}

function addMonitoring(app: Express, { vkey, monitored, limits }: HttpParts): void {
  const byHash = new Map(
    [...monitored].map(([origin, about]) => [toHex(sha256(utf8(origin))), about]),
  );
  const cached = `public, max-age=${limits.monitorCacheS}`;
  const show = (response: Response, type: string, text: string | undefined): void => {
    if (text === undefined) {
      say(response, 404, 'there is nothing to show');
      return;
    }
    response.setHeader('content-type', type);
    response.setHeader('cache-control', cached);
    response.send(Buffer.from(text));
  };
  app.get('/vkey', (_request: Request, response: Response) => {
    show(response, textType, `${vkey}\n`);
  });
  app.get('/monitor/:hash/checkpoint', (request: Request, response: Response) => {
    const note = byHash.get(String(request.params.hash))?.checkpoint();
    show(response, textType, note && decodeUtf8(note));
  });
  app.get('/monitor/:hash/refusal', (request: Request, response: Response) => {
    const refusal = byHash.get(String(request.params.hash))?.refusal();
    show(response, jsonType, refusal && refusalText(refusal));
  });
  app.get('/monitor/:hash/contradiction', (request: Request, response: Response) => {
    const found = byHash.get(String(request.params.hash))?.contradiction();
    show(response, jsonType, found && contradictionText(found));
  });
}

/** Both in JCS; a checkpoint is the whole note, with the log's signatures. */
function refusalText({ checkpoint, code, reason, time }: Refusal): string {
  const note = decodeUtf8(checkpoint.note);
  return canonicalText({ checkpoint: note, code, reason, size: checkpoint.size, time });
}

function contradictionText({ checkpoint, other, time }: Contradiction): string {
  const [cosigned, refused] = [checkpoint, other].map(({ note }) => decodeUtf8(note));
  return canonicalText({ cosigned, refused, size: checkpoint.size, time });
}

async function addCheckpoint(
  request: Request,
  response: Response,
  { submit, limits }: HttpParts,
): Promise<void> {
  const body: unknown = request.body;
  const bytes = body instanceof Uint8Array ? body : new Uint8Array(0);
  const gone = new AbortController();
  const timer = setTimeout(() => gone.abort(), limits.answerMs);
  response.once('close', () => {
    clearTimeout(timer);
    gone.abort();
  });
  const reply = await Promise.race([submit(bytes, gone.signal), rejectedOn(gone.signal)]);
  response.setHeader('cache-control', 'no-store');
  if (reply.result === 'cosigned') {
    send(response, { status: 200, type: textType, body: formatCosignatures(reply.signatures) });
  } else if (reply.result === 'conflict') {
    const size = utf8(formatConflict(reply.size));
    send(response, { status: 409, type: conflictType, body: size });
  } else {
    say(response, statusOf[reply.result], reply.reason);
  }
}

function rejectedOn(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const tooLate = (): void => {
      reject(new Failed('late', 'no decision yet: come again'));
    };
    if (signal.aborted) tooLate();
    else signal.addEventListener('abort', tooLate, { once: true });
  });
}

function answerError(
  response: ServerResponse,
  error: unknown,
  { limits, logger }: HttpParts,
): void {
  const status = statusOfHttpError(error);
  if (status !== undefined) {
    say(response, status, 'the request could not be read');
  } else if (error instanceof Failed || error instanceof Fatal) {
    logger.info({ code: error.code, why: error.message }, 'nothing was decided');
    response.setHeader('retry-after', limits.retryAfterS);
    say(response, 503, `${error.code}: ${error.message}`);
  } else {
    logger.error({ err: error }, 'a request was not answered');
    say(response, 500, 'not answered');
  }
}

/** Express and its body parser give errors that are the client's a status of the 400s. */
function statusOfHttpError(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('status' in error)) return undefined;
  const { status } = error;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined;
}

function say(response: ServerResponse, status: number, text: string): void {
  send(response, { status, type: textType, body: utf8(`${text}\n`) });
}

/** Express would add a character set to any text type; a 409 must have exactly its own. */
function send(
  response: ServerResponse,
  { status, type, body }: { status: number; type: string; body: Uint8Array },
): void {
  response.statusCode = status;
  response.setHeader('content-type', type);
  response.setHeader('content-length', body.length);
  response.end(body);
}
