import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import express, { type Express, type Request, type RequestHandler, type Response } from 'express';
import { utf8 } from '#core/bytes.ts';
import { accessLimitBytes, verifyAccess } from '#core/certificate/access.ts';
import { Failed, Refused } from '#core/errors.ts';
import type { PublicKey } from '#core/keys.ts';
import type { Clock } from '#platform/clock.ts';
import { listenOn, requestLimits, urlOf, type ListenAddress } from '#platform/listen.ts';
import type { Logger } from '#platform/logger.ts';
import type { Service } from '#platform/shutdown.ts';
import type { AnswerOpen } from './open-leaves.ts';

/** Serves the log's static files over HTTP (c2sp.org/tlog-tiles), and private evidence to auditors. */
export interface FileServer extends Service {
  /** Once started. */
  readonly url: () => string;
}

export interface Readers {
  readonly origin: string;
  readonly keys: readonly PublicKey[];
}

export interface FileServerContext {
  readonly folder: string;
  readonly listen: ListenAddress;
  readonly clock: Clock;
  /** Who may read the evidence of committed sites, by now; undefined where nobody may. */
  readonly readers?: (() => Promise<Readers>) | undefined;
  /** Answers for the leaves of open hours; undefined where nobody does, and no auditor needs it. */
  readonly open?: AnswerOpen | undefined;
  /** Hears of what is not the client's doing: of `readers`, and of the disk. */
  readonly logger?: Pick<Logger, 'error'>;
  readonly limits?: Partial<FileServerLimits>;
}

export interface FileServerLimits {
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  /** Nothing was read or written for so long. */
  readonly idleMs: number;
  readonly connections: number;
  /** Requests that one connection may make before it is closed. */
  readonly requestsPerConnection: number;
}

/** The checkpoint is asked for again after so long; what else is public never changes. */
const checkpointMaxAgeS = 2;
const foreverS = 31_536_000;

const defaultLimits: FileServerLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  idleMs: 60_000,
  connections: 1_000,
  requestsPerConnection: 10_000,
};

/**
 * Paths of a log's files, in the one spelling that names each. Everything else is answered as if it were
 * not there, before anything decodes it or takes it apart: `//private/…` and `/%70rivate/…` name the
 * same file to a file system as `/private/…`, and no route for it would see them.
 */
const pathPattern = /^\/[A-Za-z0-9]+(?:[/.][A-Za-z0-9]+)*$/;
/** The one path that is no file's: of a plant, by its id as it is. */
const openPattern = /^\/(private\/)?open\/([A-Za-z0-9][A-Za-z0-9._-]{0,63})$/;

export function createFileServer(context: FileServerContext): FileServer {
  const app = createApp(context);
  const limits = { ...defaultLimits, ...context.limits };
  const { headersTimeoutMs: headersMs, requestTimeoutMs: requestMs } = limits;
  const slow = requestLimits({ headersMs, requestMs });
  const server: Server = createServer(slow, (request, response) => {
    // Called when no route has answered, or one has failed: Express's own pages tell too much.
    app(request as Request, response as Response, (error?: unknown) => {
      answerLast(response as Response, error, context.logger);
    });
  });
  server.timeout = limits.idleMs;
  server.maxConnections = limits.connections;
  server.maxRequestsPerSocket = limits.requestsPerConnection;
  return {
    url: () => urlOf(server),
    start: () => listenOn(server, context.listen),
    stop: () =>
      new Promise((resolve, reject) => {
        server.close((error) => {
          if (error === undefined) resolve();
          else reject(error);
        });
        server.closeAllConnections();
      }),
  };
}

function createApp({ folder, clock, readers, open }: FileServerContext): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use((request, response, next) => {
    response.set('X-Content-Type-Options', 'nosniff');
    response.set('Access-Control-Allow-Origin', '*');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      say(response.set('Allow', 'GET, HEAD'), 405, 'read only');
    } else if (pathPattern.test(request.path) || openPattern.test(request.path)) next();
    else say(response, 404, 'not found');
  });
  // Routes regard no case: on a disk that does not either, `/PRIVATE` is the same folder.
  app.use('/private', requireAccess({ clock, readers }));
  if (open !== undefined) app.use(openLeaves(open));
  app.use('/private', files(join(folder, 'private'), 'private'));
  app.use(files(folder, 'public'));
  return app;
}

/** What this answers may be asked for by many at a time, and is old at once. */
function openLeaves(answer: AnswerOpen): RequestHandler {
  return async (request, response, next) => {
    const [, below, plant] = openPattern.exec(request.path) ?? [];
    if (plant === undefined) {
      next();
      return;
    }
    const isPrivate = below !== undefined;
    const { after = '' } = request.query;
    try {
      if (typeof after !== 'string') throw new Refused('cursor', 'more than one cursor');
      const bytes = await answer({ plant, isPrivate, after });
      if (bytes === undefined) {
        say(response, 404, 'not found');
        return;
      }
      const cached = isPrivate ? 'private, no-store' : `public, max-age=${checkpointMaxAgeS}`;
      response.set('Cache-Control', cached).type('application/octet-stream');
      response.send(Buffer.from(bytes));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      say(response, 400, error.message);
    }
  };
}

function say(response: Response, status: number, text: string): void {
  response.status(status).set('Cache-Control', 'no-store').type('text/plain').send(`${text}\n`);
}

/** What is the client's doing has a status of the 400s, from whoever looked into the request. */
function answerLast(response: Response, error: unknown, logger: FileServerContext['logger']): void {
  const status = error instanceof Error && 'status' in error ? Number(error.status) : 500;
  if (error !== undefined && status >= 500) logger?.error({ err: error }, 'a file was not served');
  if (response.headersSent) response.destroy();
  else if (error === undefined) say(response, 404, 'not found');
  else if (status < 500) say(response, status, 'the request cannot be answered');
  else say(response, error instanceof Failed ? 503 : 500, 'not answered');
}

/** Dot files (a temporary one, the lock) are nobody's business and answered as if they were not. */
function files(folder: string, scope: 'public' | 'private'): RequestHandler {
  return express.static(folder, {
    dotfiles: 'ignore',
    index: false,
    redirect: false,
    // A file of tens of bytes changes in place within a second: size and time do not tell versions.
    etag: false,
    lastModified: false,
    cacheControl: false,
    setHeaders(response, path) {
      const isCheckpoint = path.endsWith('/checkpoint');
      const maxAge = isCheckpoint
        ? `max-age=${checkpointMaxAgeS}, must-revalidate`
        : `max-age=${foreverS}, immutable`;
      response.setHeader('Cache-Control', `${scope}, ${maxAge}`);
      const type = isCheckpoint ? 'text/plain; charset=utf-8' : 'application/octet-stream';
      response.setHeader('Content-Type', type);
    },
  });
}

function requireAccess({
  clock,
  readers,
}: Pick<FileServerContext, 'clock' | 'readers'>): RequestHandler {
  return async (request, response, next) => {
    const [, token] = /^Bearer ([A-Za-z0-9._-]+)$/i.exec(request.headers.authorization ?? '') ?? [];
    try {
      if (readers === undefined || token === undefined || token.length > accessLimitBytes) {
        throw new Refused('access', 'for auditing witnesses alone');
      }
      const { origin, keys } = await readers();
      verifyAccess(utf8(token), keys, { origin, nowS: clock.nowS() });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      say(response.set('WWW-Authenticate', 'Bearer'), 401, error.message);
      return;
    }
    next();
  };
}
