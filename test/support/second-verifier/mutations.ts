import { decodeUtf8, fromBase64, fromBase64Url, toBase64, toBase64Url } from '#core/bytes.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { sealProof } from '../proof-builder.ts';

/**
 * Proof files with something changed and the sum made right again: what a step makes of the change is
 * seen, and not only that the file is another one.
 */

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type JsonObject = Record<string, Json>;

/** A whole number below `limit`. */
export type Draw = (limit: number) => number;

interface Place {
  readonly parent: Json[] | JsonObject;
  readonly key: string | number;
}

/** A change may be none, and may be one that no grammar allows. */
export function mutated(file: Uint8Array, draw: Draw): Uint8Array {
  const part = draw(20);
  if (part === 19) return withOtherByte(file, draw);
  const proof = JSON.parse(decodeUtf8(file)) as JsonObject;
  if (part < 7) changeLeaf(draw, itemsOf(proof.records));
  else if (part < 10) changeLeaf(draw, leavesOfState(proof));
  else if (part < 12) changeMessage(draw, itemsOf(proof.messages));
  else if (part < 14) leaveOut(draw, itemsOf(proof.entries));
  else changeSomewhere(draw, proof);
  return sealProof(proof);
}

/** This one keeps the old sum: it is for step 1 alone. */
function withOtherByte(file: Uint8Array, draw: Draw): Uint8Array {
  const bytes = file.slice();
  bytes[draw(bytes.length)] = draw(256);
  return bytes;
}

function itemsOf(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? (value as JsonObject[]) : [];
}

function leavesOfState({ state }: JsonObject): JsonObject[] {
  if (state === undefined) return [];
  const { leaf, pieces } = state as JsonObject;
  return [leaf as JsonObject, ...itemsOf(pieces)];
}

function changeLeaf(draw: Draw, leaves: readonly JsonObject[]): void {
  const leaf = leaves[draw(leaves.length)];
  if (leaf === undefined) return;
  const content = JSON.parse(decodeUtf8(fromBase64(leaf.data as string))) as JsonObject;
  for (let changes = 1 + draw(2); changes > 0; changes--) changeSomewhere(draw, content);
  leaf.data = toBase64(canonicalBytes(content));
}

const delaysS = [-100_000, -5, 5, 5_000_000];

function changeMessage(draw: Draw, messages: readonly JsonObject[]): void {
  const message = messages[draw(messages.length)];
  if (message === undefined) return;
  if (draw(2) === 0) {
    message.receivedAt = (message.receivedAt as number) + (delaysS[draw(delaysS.length)] ?? 0);
    return;
  }
  const [header = '', payload = '', signature = ''] = (message.jws as string).split('.');
  const content = JSON.parse(decodeUtf8(fromBase64Url(payload))) as JsonObject;
  changeSomewhere(draw, content);
  message.jws = [header, toBase64Url(canonicalBytes(content)), signature].join('.');
}

function leaveOut(draw: Draw, entries: JsonObject[]): void {
  entries.splice(draw(entries.length), 1);
}

function* placesIn(value: Json): Generator<Place> {
  if (typeof value !== 'object' || value === null) return;
  const keys = Array.isArray(value) ? value.keys() : Object.keys(value);
  for (const key of keys) {
    const place = { parent: value, key };
    yield place;
    yield* placesIn(read(place));
  }
}

function read({ parent, key }: Place): Json {
  return (parent as Record<string | number, Json>)[key] ?? null;
}

function write({ parent, key }: Place, value: Json): void {
  (parent as Record<string | number, Json>)[key] = value;
}

function changeSomewhere(draw: Draw, within: JsonObject): void {
  const places = [...placesIn(within)];
  const place = places[draw(places.length)];
  if (place === undefined) return;
  const way = draw(20);
  const { parent, key } = place;
  if (Array.isArray(parent) && way < 5) changeList(draw, parent, Number(key));
  else if (!Array.isArray(parent) && way < 2) Reflect.deleteProperty(parent, key);
  else write(place, otherThan(read(place), { draw, places }));
}

function changeList(draw: Draw, items: Json[], i: number): void {
  const item = items[i] ?? null;
  const other = draw(items.length);
  const how = draw(3);
  if (how === 0) items.splice(i, 1);
  else if (how === 1) items.splice(i, 0, structuredClone(item));
  else [items[i], items[other]] = [items[other] ?? null, item];
}

const letters = ['a', 'Z', '0', '_', '-', '=', '.', ' '];

function otherThan(
  value: Json,
  { draw, places }: { readonly draw: Draw; readonly places: readonly Place[] },
): Json {
  const one = <T>(of: readonly T[]): T | undefined => of[draw(of.length)];
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'number') {
    const hour = 3600;
    return one([value + 1, value - 1, 0, 1, value * 2, value + hour, 2 ** 53 - 1, -1]) ?? 0;
  }
  if (typeof value !== 'string') return one<Json>([0, '', [], {}]) ?? 0;
  const texts = places.map(read).filter((found) => typeof found === 'string');
  if (draw(2) === 0 || value === '') return one(texts) ?? '';
  const i = draw(value.length);
  return value.slice(0, i) + (one(letters) ?? '') + value.slice(i + 1);
}
