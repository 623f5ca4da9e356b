import {
  openAnswerLimitBytes,
  openLeavesPath,
  parseOpenLeaves,
  type OpenLeaves,
  type OpenQuery,
} from '#core/energy/open-leaves.ts';
import { Failed, Refused } from '#core/errors.ts';
import { withDeadline } from '#platform/deadline.ts';
import { bodyOf } from '#platform/response-body.ts';

/**
 * Asks a log for leaves of its open hours. Undefined where it has none for this reader; Failed('open')
 * when nobody answers, Refused for an answer that is none.
 */
export type ReadOpen = (query: OpenQuery, signal: AbortSignal) => Promise<OpenLeaves | undefined>;

/** No such plant, or no such route: every log has its files, and need not have this. Or not for us. */
const nothingThere: ReadonlySet<number> = new Set([401, 403, 404, 410]);
const defaultTimeoutMs = 10_000;

export function httpOpenReader(
  url: string,
  {
    authorization,
    timeoutMs = defaultTimeoutMs,
  }: { readonly authorization: () => string; readonly timeoutMs?: number },
): ReadOpen {
  const base = url.endsWith('/') ? url : `${url}/`;
  return async (query, stop) => {
    const headers = query.isPrivate ? { authorization: authorization() } : {};
    const path = openLeavesPath(query);
    const ask = async (signal: AbortSignal): Promise<OpenLeaves | undefined> => {
      const response = await fetch(`${base}${path}`, { redirect: 'manual', signal, headers });
      const { status } = response;
      if (status === 200) {
        return parseOpenLeaves(await bodyOf(response, openAnswerLimitBytes, tooLarge));
      }
      await response.body?.cancel();
      if (nothingThere.has(status)) return undefined;
      throw new Failed('open', `${path}: status ${status}`);
    };
    try {
      return await withDeadline(timeoutMs, ask, stop);
    } catch (cause) {
      if (cause instanceof Failed || cause instanceof Refused) throw cause;
      throw new Failed('open', `${path}: no whole answer`, { cause });
    }
  };
}

function tooLarge(): Failed {
  return new Failed('open', `above ${openAnswerLimitBytes} bytes`);
}
