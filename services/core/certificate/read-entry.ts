import { decodeUtf8 } from '../bytes.ts';
import { object, oneOf } from '../shape.ts';
import { entryLimitBytes, entryMembers, parseEntry, type Entry } from './entry.ts';
import { specOf, unsignedKinds } from './kinds.ts';

/**
 * Reads entries as a fold meets them, by the hundred thousand: nearly all of a log are of kinds that
 * nobody signs, and nearly all of those one regular expression tells to be right (grammar.ts).
 */
export interface ReadEntry {
  readonly entry: Entry;
  /** The shape of its kind is known to accept its spec; otherwise that is still to be asked. */
  readonly isWhole: boolean;
}

/** What every entry without signatures begins with, up to its kind. */
const unsignedHead = '{"apiVersion":"hourseal/v1","auth":[],"kind":"';

/** By kind, what is sure to be an entry of it in JCS form, its spec with it. */
const wholeEntries: ReadonlyMap<string, RegExp> = new Map(
  [...unsignedKinds].flatMap((kind) => {
    const { grammar } = object({ ...entryMembers, kind: oneOf(kind), spec: specOf[kind] });
    return grammar === undefined ? [] : [[kind, new RegExp(`^${grammar.source}$`)] as const];
  }),
);

/** The entries of `parseEntry`, and its refusals. */
export function readEntry(bytes: Uint8Array): ReadEntry {
  if (bytes.length <= entryLimitBytes) {
    const text = decodeUtf8(bytes);
    if (grammarOf(text)?.test(text) === true) {
      return { entry: JSON.parse(text) as Entry, isWhole: true };
    }
  }
  return { entry: parseEntry(bytes), isWhole: false };
}

/** By what stands where an entry without signatures has its kind. */
function grammarOf(text: string): RegExp | undefined {
  if (!text.startsWith(unsignedHead)) return undefined;
  const end = text.indexOf('"', unsignedHead.length);
  return wholeEntries.get(text.slice(unsignedHead.length, end));
}
