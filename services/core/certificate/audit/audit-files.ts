import { Failed, Refused } from '../../errors.ts';
import { parseRecordBundle, parseRecords, recordBundlePath } from '../../energy/evidence-file.ts';
import { parseBundle, tilePath, tileWidth } from '../../tlog/tile.ts';

/**
 * A file of a log, by its path below the log's prefix; undefined when there is none. Rejects with
 * Failed when nobody can say whether there is one. What it returns is believed by nobody.
 */
export type LogRead = (path: string) => Promise<Uint8Array | undefined>;

/** Reads a log from its static files alone, as an auditor does; nothing here asks a database. */
export interface LogFiles {
  /** The signed note. Refused('checkpoint-missing'). */
  readonly checkpoint: () => Promise<Uint8Array>;
  /** The entries of one bundle in a log of `size`. Failed('evidence-missing'), Refused('bundle'). */
  readonly entries: (index: number, size: number) => Promise<readonly Uint8Array[]>;
  /** The meter records of each of these; none where an entry is no public hour. Refused('records'). */
  readonly records: (index: number, size: number) => Promise<readonly (readonly Uint8Array[])[]>;
}

export function readLogFiles(read: LogRead): LogFiles {
  /** A partial file may be gone once the full one is there (tlog-tiles). */
  const bundle = async (
    { index, size }: { index: number; size: number },
    pathOf: (entryBundlePath: string) => string,
  ): Promise<{ bytes: Uint8Array; stored: number; width: number }> => {
    const width = Math.min(tileWidth, size - index * tileWidth);
    for (const stored of new Set([width, tileWidth])) {
      const bytes = await read(pathOf(tilePath({ level: 'entries', index, width: stored })));
      if (bytes !== undefined) return { bytes, stored, width };
    }
    const path = pathOf(tilePath({ level: 'entries', index, width }));
    throw new Failed('evidence-missing', `${path} is missing`);
  };
  return {
    async checkpoint() {
      const note = await read('checkpoint');
      if (note === undefined) throw new Refused('checkpoint-missing', 'there is no checkpoint');
      return note;
    },
    async entries(index, size) {
      const { bytes, stored, width } = await bundle({ index, size }, (path) => path);
      return parseBundle(bytes, stored).slice(0, width);
    },
    async records(index, size) {
      const { bytes, stored, width } = await bundle({ index, size }, recordBundlePath);
      try {
        const parts = parseRecordBundle(bytes, stored).slice(0, width);
        return parts.map((part) => parseRecords(part));
      } catch (cause) {
        if (!(cause instanceof Refused)) throw cause;
        throw new Refused('records', `the records of bundle ${index}: ${cause.message}`, { cause });
      }
    },
  };
}
