/**
 * Regular expressions for texts that are sure to be the JCS form of something a shape accepts
 * (shape.ts), so that reading one takes no writing and comparing. Each matches fewer texts than its
 * shape accepts: ASCII alone, no escapes, integers of at most 15 digits. What one does not match is no
 * worse for it, and is judged the long way (jcs.ts), which also says what is wrong.
 *
 * None of them may take more than linear time, whatever the text: nothing that is repeated may match
 * one text in two ways.
 */
export interface Grammar {
  readonly source: string;
  /** Has alternatives that may match the same text, and so must not be repeated. */
  readonly isAmbiguous: boolean;
}

/** Undefined where nothing can be said of a shape, or not in so few words. */
export type MaybeGrammar = Grammar | undefined;

const plain = (source: string): Grammar => ({ source, isAmbiguous: false });

/** Below 2^53 by their length alone. */
const safeDigits = 15;

/** Integers from `min` with fewer digits than `max`; none below 0. */
export function integerGrammar(min: number, max: number): MaybeGrammar {
  const digits = Math.min(safeDigits, String(max).length - 1);
  if (min > 1 || max < 1 || digits < 1) return undefined;
  const positive = `[1-9][0-9]{0,${digits - 1}}`;
  return plain(min === 1 ? positive : `(?:0|${positive})`);
}

/**
 * Pieces of a pattern that cannot match a quote, a backslash or anything else that JSON escapes:
 * letters, a slash, and classes of letters, digits and `._/-`, repeated. No dots, groups, anchors.
 */
const plainPiece =
  /^(?:[a-z/]|\[(?:[a-z]-[a-z]|[A-Z]-[A-Z]|[0-9]-[0-9]|[A-Za-z0-9._/])+-?\](?:\{\d+(?:,\d+)?\}|\+)?)+$/;

export function patternGrammar(source: string): MaybeGrammar {
  return plainPiece.test(source) ? plain(`"${source}"`) : undefined;
}

/** Visible ASCII and blanks, without a quote and a backslash: in NFC, and nothing of it escaped. */
export function textGrammar(maxLength: number): Grammar {
  return plain(`"[ !#-\\[\\]-~]{1,${maxLength}}"`);
}

export function constantGrammar(allowed: readonly (string | number)[]): MaybeGrammar {
  const texts = allowed.map((value) => JSON.stringify(value));
  if (!texts.every((text) => /^(?:0|[1-9][0-9]{0,14}|"[A-Za-z0-9/-]*")$/.test(text))) {
    return undefined;
  }
  // No text is the beginning of another: strings end in a quote, numbers before what ends them.
  return plain(texts.length === 1 ? texts.join() : `(?:${texts.join('|')})`);
}

export const booleanGrammar: Grammar = plain('(?:true|false)');

export function arrayGrammar(
  item: MaybeGrammar,
  { min, max }: { readonly min: number; readonly max: number },
): MaybeGrammar {
  const isRepeated = item !== undefined && max > 1;
  if (item === undefined || (isRepeated && item.isAmbiguous)) {
    return min === 0 ? plain('\\[\\]') : undefined;
  }
  const { source } = item;
  const some = isRepeated ? `${source}(?:,${source}){${Math.max(0, min - 1)},${max - 1}}` : source;
  return { ...item, source: max === 0 ? '\\[\\]' : `\\[${min === 0 ? `(?:${some})?` : some}\\]` };
}

/** Of one member alone: the order of several is more than a regular expression can say. */
export function recordGrammar(
  { name, item }: { readonly name: MaybeGrammar; readonly item: MaybeGrammar },
  { min, max }: { readonly min: number; readonly max: number },
): MaybeGrammar {
  if (name === undefined || item === undefined || min > 1 || max < 1) return undefined;
  return { ...item, source: `\\{${name.source}:${item.source}\\}` };
}

export interface MemberGrammar {
  readonly name: string;
  readonly grammar: MaybeGrammar;
  readonly isOptional: boolean;
}

/** Members in the order of JCS, around one that is always there, so that each knows its comma. */
export function objectGrammar(members: readonly MemberGrammar[]): MaybeGrammar {
  if (!members.every(({ name }) => /^[A-Za-z][A-Za-z0-9]*$/.test(name))) return undefined;
  const sorted = members.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const anchor = sorted.findIndex(({ isOptional }) => !isOptional);
  if (anchor < 0) return undefined;
  let source = '';
  let isAmbiguous = false;
  for (const [i, { name, grammar, isOptional }] of sorted.entries()) {
    if (grammar === undefined && !isOptional) return undefined;
    if (grammar === undefined) continue;
    const member = `"${name}":${grammar.source}`;
    if (i < anchor) source += `(?:${member},)?`;
    else if (i === anchor) source += member;
    else source += isOptional ? `(?:,${member})?` : `,${member}`;
    isAmbiguous ||= grammar.isAmbiguous;
  }
  return { source: `\\{${source}\\}`, isAmbiguous };
}

export function eitherGrammar(first: MaybeGrammar, second: MaybeGrammar): MaybeGrammar {
  if (first === undefined || second === undefined) return first ?? second;
  return { source: `(?:${first.source}|${second.source})`, isAmbiguous: true };
}
