import { readFileSync } from 'node:fs';
import { sha256 } from '#crypto';
import { concat, decodeUtf8, fromBase64Url, toBase64Url, toHex, utf8 } from '#core/bytes.ts';
import { Refused } from '#core/errors.ts';
import { compactJws, parseCompactJws, signingInput, type JwsType } from '#core/jws.ts';
import { examples } from '#support/formats-examples.ts';
import { formatsPage } from '#support/formats-page.ts';
import { testKey } from '#support/log-builder.ts';
import { jsonBytes, type InputOptions, type Wrapping } from './fuzz-input.ts';

/** A parser of services/core, and what it accepts. */
export interface Target extends InputOptions {
  readonly name: string;
  /**
   * Parses, and writes again what was parsed, if anything does that. Throws Refused alone. A parser
   * of text gets what a lenient reader makes of the bytes.
   */
  readonly parse: (input: Uint8Array) => Uint8Array | undefined;
  /** The first so many seeds are accepted as they are; by default all. */
  readonly accepted?: number;
  /** How many times fewer runs than others it gets, being that much slower. */
  readonly slower?: number;
}

export const onPage = examples(formatsPage);

/** Without the last newline, which the page adds to every example. */
export function example(name: string): string {
  const text = onPage.get(name);
  if (text === undefined) throw new Error(`${formatsPage} has no example ${name}`);
  return text.slice(0, -1);
}

export const lines = (name: string): Uint8Array[] => example(name).split('\n').map(utf8);
export const whole = (name: string): Uint8Array => utf8(`${example(name)}\n`);
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });

export const readVector = (name: string): Uint8Array =>
  Uint8Array.from(readFileSync(new URL(`../../vectors/${name}`, import.meta.url)));

/** What gives a verdict on anything, and throws nothing. */
export function verdict(work: (input: Uint8Array) => unknown): Target['parse'] {
  return (input) => {
    try {
      work(input);
    } catch (cause) {
      throw new Error('a verdict throws nothing', { cause });
    }
    return undefined;
  };
}

/** The same of what must find nothing wrong with its seeds, else nobody could ever get through. */
export function opened(work: (input: Uint8Array) => object): Target['parse'] {
  return (input) => {
    let found: object = {};
    verdict((bytes) => {
      found = work(bytes);
    })(input);
    if (!('value' in found)) throw new Refused('evidence', 'it was not opened');
    return undefined;
  };
}

/** A parser of text; of what a lenient reader replaced it cannot write the bytes again. */
export function text(parse: (text: string) => string | undefined): Target['parse'] {
  return (input) => {
    const read = lenient.decode(input);
    const again = parse(read);
    if (again !== undefined && again !== read) throw new Error(`${read} became ${again}`);
    return undefined;
  };
}

const read = (bytes: Uint8Array): unknown => JSON.parse(decodeUtf8(bytes));
export const asJson: Wrapping = { open: read, seal: jsonBytes };

export function signedJson(typ: JwsType, key: string): Wrapping {
  return {
    open: (bytes) => read(fromBase64Url(decodeUtf8(bytes).split('.')[1] ?? '')),
    seal: (value) => utf8(compactJws(testKey(key), typ, jsonBytes(value))),
  };
}

/** Whoever changes a proof file can make its sum fit again. */
export const summedJson: Wrapping = {
  open(bytes) {
    const { sum: _sum, ...body } = JSON.parse(decodeUtf8(bytes)) as { sum: string };
    return body;
  },
  seal(value) {
    const body = jsonBytes(value);
    const tail = utf8(`,"sum":"${toHex(sha256(body))}"}`);
    return concat(body.subarray(0, -1), tail);
  },
};

export function jws(typ: JwsType): Target['parse'] {
  return (input) => {
    const { header, payload, signature } = parseCompactJws(input, typ);
    return concat(signingInput(header, payload), utf8(`.${toBase64Url(signature)}`));
  };
}
