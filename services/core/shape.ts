import { Refused } from './errors.ts';
import {
  arrayGrammar,
  booleanGrammar,
  constantGrammar,
  eitherGrammar,
  integerGrammar,
  objectGrammar,
  patternGrammar,
  recordGrammar,
  textGrammar,
  type MaybeGrammar,
} from './grammar.ts';

/**
 * Parses `unknown` into a type, strictly, once, at the edge (D3, "common to all"): integers with
 * |n| <= 2^53-1, NFC strings, booleans, arrays, objects; no floats, no null, no unknown members.
 * `schema` says the same as JSON Schema (2020-12), which FORMATS.md prints and a test compares.
 */
export interface Shape<T> {
  readonly schema: Readonly<Record<string, unknown>>;
  /** Texts that `parse` is sure to accept the value of, in JCS form. */
  readonly grammar?: MaybeGrammar;
  /** Returns `value` itself, now typed. Throws Refused('form') naming the place, such as `spec.seq`. */
  readonly parse: (value: unknown, path?: string) => T;
}

export type Infer<S> = S extends Shape<infer T> ? T : never;

interface OptionalShape<T> extends Shape<T> {
  readonly optional: true;
}

type Members = Readonly<Record<string, Shape<unknown> | OptionalShape<unknown>>>;
type OptionalKeys<M extends Members> = {
  [K in keyof M]: M[K] extends OptionalShape<unknown> ? K : never;
}[keyof M];
export type ObjectOf<M extends Members> = {
  readonly [K in Exclude<keyof M, OptionalKeys<M>>]: Infer<M[K]>;
} & { readonly [K in OptionalKeys<M>]?: Infer<M[K]> };

function refuse(path: string, reason: string): never {
  throw new Refused('form', path === '' ? reason : `${path}: ${reason}`);
}

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Shape<number> {
  return {
    schema: { type: 'integer', minimum: min, maximum: max },
    grammar: integerGrammar(min, max),
    parse(value, path = '') {
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) refuse(path, 'not an integer');
      if (value < min || value > max) refuse(path, `not within ${min} to ${max}`);
      return value;
    },
  };
}

/** A text that matches `pattern` as a whole; the pattern must itself leave only NFC texts. */
export function pattern(source: string): Shape<string> {
  const anchored = new RegExp(`^(?:${source})$`, 'u');
  return {
    schema: { type: 'string', pattern: `^(?:${source})$` },
    grammar: patternGrammar(source),
    parse(value, path = '') {
      if (typeof value !== 'string' || !anchored.test(value)) refuse(path, `not ${source}`);
      return value;
    },
  };
}

/**
 * Free text in NFC without control characters. `maxLength` counts code points, as JSON Schema does;
 * NFC alone is more than the schema can say.
 */
export function text(maxLength: number): Shape<string> {
  return freeText(maxLength, '[^\\p{Cc}\\p{Cs}]');
}

/** Free text of several lines, such as a signed note. */
export function lines(maxLength: number): Shape<string> {
  return freeText(maxLength, '(?:\\n|[^\\p{Cc}\\p{Cs}])');
}

function freeText(maxLength: number, character: string): Shape<string> {
  const source = `^${character}{1,${maxLength}}$`;
  const anchored = new RegExp(source, 'u');
  return {
    schema: { type: 'string', maxLength, minLength: 1, pattern: source },
    grammar: textGrammar(maxLength),
    parse(value, path = '') {
      if (typeof value !== 'string' || !anchored.test(value)) {
        refuse(path, `not a text of 1 to ${maxLength} characters without control characters`);
      }
      if (value.normalize('NFC') !== value) refuse(path, 'not NFC');
      return value;
    },
  };
}

export const boolean: Shape<boolean> = {
  schema: { type: 'boolean' },
  grammar: booleanGrammar,
  parse(value, path = '') {
    if (typeof value !== 'boolean') refuse(path, 'not true or false');
    return value;
  },
};

export function oneOf<const T extends string | number>(...allowed: readonly T[]): Shape<T> {
  const known = new Set<unknown>(allowed);
  return {
    schema: allowed.length === 1 ? { const: allowed[0] } : { enum: allowed },
    grammar: constantGrammar(allowed),
    parse(value, path = '') {
      if (!known.has(value)) refuse(path, `not ${allowed.join(' or ')}`);
      return value as T;
    },
  };
}

export function array<T>(
  item: Shape<T>,
  limits: { min: number; max: number },
): Shape<readonly T[]> {
  return {
    schema: {
      type: 'array',
      items: item.schema,
      minItems: limits.min,
      maxItems: limits.max,
    },
    grammar: arrayGrammar(item.grammar, limits),
    parse(value, path = '') {
      if (!Array.isArray(value) || value.length < limits.min || value.length > limits.max) {
        refuse(path, `not an array of ${limits.min} to ${limits.max}`);
      }
      for (let i = 0; i < value.length; i++) item.parse(value[i], `${path}[${i}]`);
      return value as readonly T[];
    },
  };
}

/** An object whose member names are data, such as register names. */
export function record<T>(
  name: Shape<string>,
  item: Shape<T>,
  limits: { min: number; max: number },
): Shape<Readonly<Record<string, T>>> {
  return {
    schema: {
      type: 'object',
      propertyNames: name.schema,
      additionalProperties: item.schema,
      minProperties: limits.min,
      maxProperties: limits.max,
    },
    grammar: recordGrammar({ name: name.grammar, item: item.grammar }, limits),
    parse(value, path = '') {
      const given = asObject(value, path) as Readonly<Record<string, unknown>>;
      const keys = Object.keys(given);
      if (keys.length < limits.min || keys.length > limits.max) {
        refuse(path, `not ${limits.min} to ${limits.max} members`);
      }
      for (const key of keys) {
        name.parse(key, `${path}{name}`);
        item.parse(given[key], `${path}.${key}`);
      }
      return value as Readonly<Record<string, T>>;
    },
  };
}

export function optional<T>(shape: Shape<T>): OptionalShape<T> {
  return { ...shape, optional: true };
}

function asObject(value: unknown, path: string): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse(path, 'not an object');
  }
  return value;
}

/** An object with exactly these members, those marked `optional` left out or present. */
export function object<const M extends Members>(members: M): Shape<ObjectOf<M>> {
  const shapes = Object.entries(members);
  const required = shapes.filter(([, shape]) => !('optional' in shape)).map(([name]) => name);
  return {
    schema: {
      type: 'object',
      properties: Object.fromEntries(shapes.map(([name, shape]) => [name, shape.schema])),
      required,
      additionalProperties: false,
    },
    grammar: objectGrammar(
      shapes.map(([name, shape]) => ({
        name,
        grammar: shape.grammar,
        isOptional: 'optional' in shape,
      })),
    ),
    parse(value, path = '') {
      const given = asObject(value, path) as Readonly<Record<string, unknown>>;
      let found = 0;
      for (const [name, shape] of shapes) {
        const place = path === '' ? name : `${path}.${name}`;
        if (Object.hasOwn(given, name)) {
          found++;
          shape.parse(given[name], place);
        } else if (!('optional' in shape)) refuse(place, 'missing');
      }
      if (Object.keys(given).length !== found) refuse(path, `unknown member ${stranger(given)}`);
      return value as ObjectOf<M>;
    },
  };

  function stranger(given: object): string {
    return Object.keys(given).find((name) => !Object.hasOwn(members, name)) ?? '';
  }
}

/** The first of several shapes that fits; the reason given is the last one's. */
export function either<A, B>(first: Shape<A>, second: Shape<B>): Shape<A | B> {
  return {
    schema: { anyOf: [first.schema, second.schema] },
    grammar: eitherGrammar(first.grammar, second.grammar),
    parse(value, path = '') {
      try {
        return first.parse(value, path);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return second.parse(value, path);
      }
    },
  };
}

/** Ids (D3.1), SHA-256 in lowercase hex, RFC 7638 thumbprints, origins of logs, and instants. */
export const id = pattern('[A-Za-z0-9][A-Za-z0-9._-]{0,63}');
export const hashHex = pattern('[0-9a-f]{64}');
/** 32 bytes in canonical base64url: the two bits left over in the last character are zero. */
const canonical32 = '[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]';
export const bytes32 = pattern(canonical32);
export const thumbprint = pattern(canonical32);
export const origin = pattern('[!-*,-~]{1,255}');
/** The end of the year 9999. */
export const lastInstant = 253402300799;
export const instant = integer(0, lastInstant);
export const wattHours = integer(0);
