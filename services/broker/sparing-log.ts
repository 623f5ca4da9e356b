import type { Logger } from '#platform/logger.ts';

/** Says a line, and at most so many a second: the others are counted, and told with the next one. */
export type Say = (facts: object, text: string) => void;

/** A flood of connections must not become a flood of lines on the disk. */
export function sparingLog(
  logger: Pick<Logger, 'info'>,
  { linesPerSecond, nowMs }: { readonly linesPerSecond: number; readonly nowMs: () => number },
): Say {
  let second = Number.NEGATIVE_INFINITY;
  let said = 0;
  let unsaid = 0;
  return (facts, text) => {
    const now = Math.floor(nowMs() / 1000);
    if (now !== second) {
      second = now;
      said = 0;
    }
    if (said >= linesPerSecond) {
      unsaid++;
      return;
    }
    said++;
    logger.info(unsaid === 0 ? facts : { ...facts, unsaid }, text);
    unsaid = 0;
  };
}
