import { resolve } from 'node:path';
import { Refused } from '#core/errors.ts';
import { parseListen, type ListenAddress } from './listen.ts';

/** One variable of the environment, and everything the README's table says about it. */
export interface Variable<Value> {
  readonly name: string;
  readonly about: string;
  /** Of a number: 'ms', 'bytes', '' … */
  readonly unit: string;
  /** As it would be written in the environment; undefined when there is none. */
  readonly defaultText: string | undefined;
  readonly secret: boolean;
  /** What there is when the variable is unset or empty; throws where it must be set. */
  readonly whenAbsent: () => Value;
  /** Throws an Error that says what is wrong, without the variable's name. */
  readonly parse: (text: string) => Value;
}

interface About<Value> {
  readonly about: string;
  readonly default?: Value;
  /** Its value is never repeated in an error or a table. */
  readonly secret?: boolean;
}

function variable<Value>(
  name: string,
  about: About<Value> & { readonly unit?: string },
  parse: (text: string) => Value,
): Variable<Value> {
  const value = about.default;
  return {
    name,
    about: about.about,
    unit: about.unit ?? '',
    defaultText: value === undefined ? undefined : String(value),
    secret: about.secret ?? false,
    whenAbsent: () => {
      if (value === undefined) throw new Error('must be set');
      return value;
    },
    parse,
  };
}

/** A whole number between `min` and `max`, in the one canonical spelling. */
export function integer(
  name: string,
  about: About<number> & { readonly unit: string; readonly min: number; readonly max: number },
): Variable<number> {
  const { min, max } = about;
  return variable(name, about, (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || String(value) !== text)
      throw new Error('not a whole number');
    if (value < min || value > max) throw new Error(`not between ${min} and ${max}`);
    return value;
  });
}

export function text(
  name: string,
  about: About<string> & { readonly pattern?: RegExp },
): Variable<string> {
  return variable(name, about, (value) => {
    if (about.pattern?.test(value) === false)
      throw new Error(`not of the form ${about.pattern.source}`);
    return value;
  });
}

/** `true` or `false`, nothing else. */
export function flag(name: string, about: About<boolean>): Variable<boolean> {
  return variable(name, about, (value) => {
    if (value !== 'true' && value !== 'false') throw new Error("neither 'true' nor 'false'");
    return value === 'true';
  });
}

export function oneOf<const Value extends string>(
  name: string,
  about: About<NoInfer<Value>> & { readonly values: readonly Value[] },
): Variable<Value> {
  return variable<Value>(name, about, (value) => {
    const found = about.values.find((known) => known === value);
    if (found === undefined) throw new Error(`none of ${about.values.join(', ')}`);
    return found;
  });
}

/** An absolute path; a relative one counts from the working folder. */
export function path(name: string, about: About<string>): Variable<string> {
  const { whenAbsent, ...rest } = variable(name, about, (value) => resolve(value));
  return { ...rest, whenAbsent: () => resolve(whenAbsent()) };
}

export function url(
  name: string,
  about: About<string> & { readonly protocols: readonly string[] },
): Variable<string> {
  return variable(name, about, (value) => {
    const protocol = URL.canParse(value) ? new URL(value).protocol : undefined;
    if (protocol === undefined || !about.protocols.includes(protocol)) {
      throw new Error(`not a URL beginning with ${about.protocols.join(' or ')}`);
    }
    return value;
  });
}

/** `host:port`, an IPv6 address in brackets; port 0 takes a free one. */
export function listenAddress(name: string, about: About<string>): Variable<ListenAddress> {
  const { whenAbsent, ...rest } = variable(name, about, (value) => value);
  return { ...rest, parse: parseListen, whenAbsent: () => parseListen(whenAbsent()) };
}

/** May be unset, and is `undefined` then. */
export function optional<Value>(wanted: Variable<Value>): Variable<Value | undefined> {
  return { ...wanted, whenAbsent: () => undefined };
}

export type Variables = Readonly<Record<string, Variable<unknown>>>;
export type Config<Wanted extends Variables> = {
  readonly [Member in keyof Wanted]: ReturnType<Wanted[Member]['parse']>;
};

/**
 * The whole configuration, checked, or Refused('config') with everything that is wrong in one
 * message. An empty variable counts as unset.
 */
export function readConfig<Wanted extends Variables>(
  wanted: Wanted,
  environment: Readonly<Record<string, string | undefined>>,
): Config<Wanted> {
  const problems: string[] = [];
  const read = ({ name, secret, parse, whenAbsent }: Variable<unknown>): unknown => {
    const value = environment[name] ?? '';
    try {
      return value === '' ? whenAbsent() : parse(value);
    } catch (error) {
      const shown = value === '' || secret ? '' : ` (${JSON.stringify(value)})`;
      problems.push(`${name} ${error instanceof Error ? error.message : String(error)}${shown}`);
      return undefined;
    }
  };
  const members = Object.entries(wanted).map(([member, one]) => [member, read(one)] as const);
  if (problems.length > 0) throw new Refused('config', `configuration: ${problems.join('; ')}`);
  return Object.fromEntries(members) as Config<Wanted>;
}

/** One row of the README's configuration table. */
export interface VariableDescription {
  readonly name: string;
  readonly about: string;
  readonly unit: string;
  /** '' when there is no default; 'required' is told by `required`. */
  readonly defaultText: string;
  readonly required: boolean;
}

export function describeConfig(wanted: Variables): VariableDescription[] {
  return Object.values(wanted).map(({ name, about, unit, defaultText, secret, whenAbsent }) => {
    let required = false;
    try {
      whenAbsent();
    } catch {
      required = true;
    }
    return { name, about, unit, defaultText: secret ? '' : (defaultText ?? ''), required };
  });
}
