import { Refused } from '../errors.ts';

/**
 * JSON (RFC 8259) of other people, which has no canonical form: white space, escapes and the order of
 * members are theirs. Strict all the same: no member twice, no lone surrogate, nothing after the
 * value, and numbers stay the text that was signed, since a double would change their digits.
 */
export type OcmfJson = string | boolean | null | OcmfNumber | readonly OcmfJson[] | OcmfMembers;

export interface OcmfNumber {
  /** As it stands in the text. */
  readonly digits: string;
}

export type OcmfMembers = ReadonlyMap<string, OcmfJson>;

/** Of objects and arrays; OCMF itself nests four deep. */
const depthLimit = 8;

const whiteSpace = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** RFC 8259, `unescaped`: all but control characters, the quotation mark and the backslash. */
const plainText = /[\u0020\u0021\u0023-\u005b\u005d-\uffff]*/y;
const unicodeEscape = /u([0-9a-fA-F]{4})/y;

const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** Throws Refused('json'). The text's length is the caller's limit. */
export function parseOcmfJson(text: string): OcmfJson {
  const reader: Reader = { text, at: 0 };
  const value = readValue(reader, 0);
  skip(reader);
  if (reader.at !== text.length) refuse(reader, 'something after the value');
  return value;
}

interface Reader {
  readonly text: string;
  at: number;
}

function refuse({ at }: Reader, reason: string): never {
  throw new Refused('json', `at ${at}: ${reason}`);
}

/** What `pattern`, which is sticky, matches here; undefined where it does not. */
function match(reader: Reader, pattern: RegExp): RegExpExecArray | undefined {
  pattern.lastIndex = reader.at;
  const found = pattern.exec(reader.text) ?? undefined;
  if (found !== undefined) reader.at = pattern.lastIndex;
  return found;
}

function skip(reader: Reader): void {
  match(reader, whiteSpace);
}

/** The next character that is not white space, taken if it is that one. */
function take(reader: Reader, character: string): boolean {
  skip(reader);
  if (reader.text[reader.at] !== character) return false;
  reader.at++;
  return true;
}

function readValue(reader: Reader, depth: number): OcmfJson {
  if (depth > depthLimit) refuse(reader, `nested deeper than ${depthLimit} levels`);
  if (take(reader, '{')) return readMembers(reader, depth);
  if (take(reader, '[')) return readItems(reader, depth);
  if (take(reader, '"')) return readString(reader);
  for (const [word, value] of [
    ['true', true],
    ['false', false],
    ['null', null],
  ] as const) {
    if (!reader.text.startsWith(word, reader.at)) continue;
    reader.at += word.length;
    return value;
  }
  const [digits] = match(reader, number) ?? refuse(reader, 'not a value');
  return { digits };
}

function readMembers(reader: Reader, depth: number): OcmfMembers {
  const members = new Map<string, OcmfJson>();
  if (take(reader, '}')) return members;
  do {
    if (!take(reader, '"')) refuse(reader, 'not the name of a member');
    const name = readString(reader);
    if (members.has(name)) refuse(reader, `the member ${name} twice`);
    if (!take(reader, ':')) refuse(reader, 'no colon after a name');
    members.set(name, readValue(reader, depth + 1));
  } while (take(reader, ','));
  if (!take(reader, '}')) refuse(reader, 'an object without its end');
  return members;
}

function readItems(reader: Reader, depth: number): OcmfJson[] {
  const items: OcmfJson[] = [];
  if (take(reader, ']')) return items;
  do items.push(readValue(reader, depth + 1));
  while (take(reader, ','));
  if (!take(reader, ']')) refuse(reader, 'an array without its end');
  return items;
}

/** From behind the opening quotation mark to behind the closing one. */
function readString(reader: Reader): string {
  let value = '';
  for (;;) {
    value += match(reader, plainText)?.[0] ?? '';
    const character = reader.text[reader.at++];
    if (character === '"') break;
    if (character !== '\\') refuse(reader, 'a string without its end, or a control character');
    const hex = match(reader, unicodeEscape)?.[1];
    const escaped =
      hex === undefined
        ? escapes[reader.text[reader.at++] ?? '']
        : String.fromCharCode(Number.parseInt(hex, 16));
    value += escaped ?? refuse(reader, 'not an escape');
  }
  if (!value.isWellFormed()) refuse(reader, 'a lone surrogate');
  return value;
}
