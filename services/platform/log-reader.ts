import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { LogRead } from '#core/certificate/audit/audit-files.ts';
import { batchFileLimitBytes } from '#core/energy/batch.ts';
import { Failed } from '#core/errors.ts';
import { DeadlinePassed, withDeadline } from './deadline.ts';
import { bodyOf } from './response-body.ts';

/** Reads a log's static files (D3.4, tlog-tiles), whoever serves them, wherever they lie. */

export interface LogReaderLimits {
  /** For one file, from asking to its last byte. */
  readonly timeoutMs: number;
  /** Of one file; several are read at the same time. */
  readonly limitBytes: number;
}

/** Over a network: less than the largest batch file (D3.2), since a server need not be honest. */
export const logReaderLimits: LogReaderLimits = {
  timeoutMs: 30_000,
  limitBytes: 64 * 1024 * 1024,
};

/** Evidence of committed sites. */
const privatePrefix = 'private/';
/** Paths as this program makes them: no reader may be led out of its log. */
const pathPattern = /^[A-Za-z0-9]+(?:[/.][A-Za-z0-9]+)*$/;

/** Files below a folder. Failed('log-file') for one that cannot be read or is above the limit. */
export function folderLogReader(
  folder: string,
  { limitBytes = batchFileLimitBytes }: Partial<Pick<LogReaderLimits, 'limitBytes'>> = {},
): LogRead {
  return (path) =>
    new Promise((resolve) => {
      resolve(readFolderFile(folder, path, limitBytes));
    });
}

/**
 * As a `folderLogReader` reads. Without the thread pool: files of a folder are small and mostly in memory,
 * and to hand one over there and back four times costs ten times what reading it does.
 */
export function readFolderFile(
  folder: string,
  path: string,
  limitBytes: number,
): Uint8Array | undefined {
  requirePath(path);
  try {
    const file = openSync(join(folder, path), 'r');
    try {
      const stats = fstatSync(file);
      if (stats.isDirectory()) return undefined;
      if (stats.size > limitBytes) throw tooLarge(path, limitBytes);
      return readWhole(file, stats.size);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    if (isMissing(cause)) return undefined;
    if (cause instanceof Failed) throw cause;
    throw new Failed('log-file', `${path}: cannot be read`, { cause });
  }
}

/** Of a file that nobody changes: the log writes each once, and puts it in its place when it is whole. */
function readWhole(file: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  while (at < size) {
    const read = readSync(file, bytes, at, size - at, null);
    if (read === 0) throw new RangeError('the file ends before its size');
    at += read;
  }
  return bytes;
}

/**
 * Files below a URL. 404 and 410 mean that there is none. Failed('log-file') for every other answer,
 * a redirection too (where a log lies is its operator's configuration, and not its server's), for a
 * file above the limit, and when there is no whole answer in time.
 */
export function httpLogReader(
  url: string,
  limits: Partial<LogReaderLimits> & {
    /** The `Authorization` of requests for evidence that is not public (D3.3). */
    readonly authorization?: () => string;
  } = {},
): LogRead {
  const { timeoutMs, limitBytes } = { ...logReaderLimits, ...limits };
  const { protocol } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:') throw new RangeError('url: not http');
  const base = url.endsWith('/') ? url : `${url}/`;
  return async (path) => {
    requirePath(path);
    const isPrivate = path.startsWith(privatePrefix) && limits.authorization !== undefined;
    const headers = isPrivate ? { authorization: limits.authorization() } : {};
    const ask = async (signal: AbortSignal): Promise<Uint8Array | undefined> => {
      const response = await fetch(`${base}${path}`, { redirect: 'manual', signal, headers });
      const { status } = response;
      if (status === 200) {
        return bodyOf(response, limitBytes, () => tooLarge(path, limitBytes));
      }
      await response.body?.cancel();
      if (status === 404 || status === 410) return undefined;
      throw new Failed('log-file', `${path}: status ${status}`);
    };
    try {
      return await withDeadline(timeoutMs, ask);
    } catch (cause) {
      if (cause instanceof Failed) throw cause;
      const isLate = cause instanceof DeadlinePassed;
      const why = isLate ? `no whole answer within ${timeoutMs} ms` : 'no answer';
      throw new Failed('log-file', `${path}: ${why}`, { cause });
    }
  };
}

function tooLarge(path: string, limitBytes: number): Failed {
  return new Failed('log-file', `${path}: above ${limitBytes} bytes`);
}

function requirePath(path: string): void {
  if (!pathPattern.test(path)) throw new RangeError('path: not that of a file of a log');
}

function isMissing(error: unknown): boolean {
  const isCoded = error instanceof Error && 'code' in error;
  return (
    isCoded && (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EISDIR')
  );
}
