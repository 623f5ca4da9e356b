import { decodeUtf8, fromHex, toHex, utf8 } from '../../bytes.ts';
import { parseMeterJwk, type PublicKey } from '../../keys.ts';

/**
 * Plain data with maps, sets, bytes and public keys in it, as JSON and back: for what a program keeps
 * for itself. No object of our formats has a member that begins with the tag's sign.
 */
const tags = { map: '$map', set: '$set', bytes: '$bytes', key: '$key' } as const;

/** What is `undefined` is left out; everything else comes back as it was. */
export function encodeKept(value: unknown): Uint8Array {
  return utf8(JSON.stringify(tagged(value)));
}

/** Throws SyntaxError, or whatever a wrong value leads to, for other bytes than `encodeKept` made. */
export function decodeKept(bytes: Uint8Array): unknown {
  return untagged(JSON.parse(decodeUtf8(bytes)));
}

function tagged(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(tagged);
  if (value instanceof Map) return { [tags.map]: [...value].map(tagged) };
  if (value instanceof Set) return { [tags.set]: [...value].map(tagged) };
  if (value instanceof Uint8Array) return { [tags.bytes]: toHex(value) };
  if (isPublicKey(value)) return { [tags.key]: value.jwk };
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, tagged(member)]));
}

function untagged(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(untagged);
  const members = Object.entries(value);
  const [name, content] = members[0] ?? [];
  switch (name) {
    case tags.map:
      return new Map(untagged(content) as [unknown, unknown][]);
    case tags.set:
      return new Set(untagged(content) as unknown[]);
    case tags.bytes:
      return fromHex(content as string);
    case tags.key:
      return parseMeterJwk(content);
    default:
      return Object.fromEntries(members.map(([member, of]) => [member, untagged(of)]));
  }
}

function isPublicKey(value: object): value is PublicKey {
  return 'jwk' in value && 'verify' in value && 'kid' in value;
}
