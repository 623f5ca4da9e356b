import { entryRef } from '#core/certificate/entry.ts';
import { emissionRuleShape } from '#core/certificate/specs/emissions.ts';
import { itemShape, rangeShape } from '#core/certificate/specs/parts.ts';
import { registerShape } from '#core/certificate/specs/register.ts';
import { tiers } from '#core/energy/emissions/day.ts';
import { qualityShape, roleShape } from '#core/energy/meter-record.ts';
import { reasonCode } from '#core/energy/receipt.ts';
import { verdicts } from '#core/energy/verdicts.ts';
import { canonicalText } from '#core/jcs.ts';
import { ecdsaJwk, publicJwk } from '#core/keys.ts';
import { bytes32, hashHex, id, instant, oneOf, origin, wattHours } from '#core/shape.ts';
import type { Shape } from '#core/shape.ts';

/**
 * Writes a shape's JSON Schema as lines that people can read. FORMATS.md prints them, and a test
 * compares, so that the page and the parser say the same. The page explains the notation.
 */

type Schema = Readonly<Record<string, unknown>>;

/** What the page defines once and then calls by name. */
const namedShapes: Readonly<Record<string, Shape<unknown>>> = {
  id,
  hash: hashHex,
  bytes32,
  origin,
  instant,
  wh: wattHours,
  code: reasonCode,
  jwk: publicJwk,
  ecdsaJwk,
  ref: entryRef,
  range: rangeShape,
  item: itemShape,
  register: registerShape,
  role: roleShape,
  quality: qualityShape,
  verdict: oneOf(...Object.keys(verdicts)),
  emissionRule: emissionRuleShape,
  emissionTier: oneOf(...tiers),
};

/** By content; but `wh` looks like any count, so it is known by being the very same schema. */
const nameByContent = new Map(
  Object.entries(namedShapes).map(([name, { schema }]) => [canonicalText(schema), name]),
);
nameByContent.delete(canonicalText(wattHours.schema));

function nameOf(schema: Schema): string | undefined {
  return schema === wattHours.schema ? 'wh' : nameByContent.get(canonicalText(schema));
}

const widthLimit = 96;
const largest = Number.MAX_SAFE_INTEGER;

/** The grammar of one format: a member a line; alternatives are parted by a line with a bar. */
export function grammarOf({ schema }: Shape<unknown>): string {
  return alternatives(schema)
    .map((one) => (isObject(one) ? memberLines(one, '') : `${inline(one)}\n`))
    .join('|\n');
}

/** The definitions of the names that the grammars use. */
export function namesGrammar(): string {
  return Object.entries(namedShapes)
    .map(([name, { schema }]) => {
      const several = alternatives(schema).map(body);
      const line = `${name} = ${several.join(' | ')}`;
      if (line.length <= widthLimit) return `${line}\n`;
      if (isObject(schema)) return `${name} = {\n${memberLines(schema, '  ')}}\n`;
      return `${name} =\n${wrap(several.join(' | '))}`;
    })
    .join('');
}

/** Alternatives over as many lines as they need, a bar at the end of each but the last. */
function wrap(text: string): string {
  const lines: string[] = [''];
  for (const part of text.split(/(?<= \|) /)) {
    const last = lines.length - 1;
    const longer = `${lines[last] ?? ''} ${part}`;
    if (longer.length <= widthLimit || lines[last] === '') lines[last] = longer;
    else lines.push(` ${part}`);
  }
  return lines.map((line) => ` ${line}\n`).join('');
}

function isObject(schema: Schema): schema is Schema & { properties: Record<string, Schema> } {
  return 'properties' in schema;
}

function alternatives(schema: Schema): readonly Schema[] {
  const parts = schema.anyOf as readonly Schema[] | undefined;
  return parts === undefined ? [schema] : parts.flatMap(alternatives);
}

function memberLines(
  schema: Schema & { properties: Record<string, Schema> },
  indent: string,
): string {
  return members(schema)
    .map(([name, member]) => {
      const line = `${indent}${name}: ${inline(member)}`;
      return line.length <= widthLimit
        ? `${line}\n`
        : brokenLines(`${indent}${name}: `, member, indent);
    })
    .join('');
}

/** A member too long for one line: an object's members, or alternatives, on lines of their own. */
function brokenLines(start: string, schema: Schema, indent: string): string {
  const inner = `${indent}  `;
  const several = alternatives(schema);
  if (several.length > 1) {
    const lines = several.map((one) => `${inner}${inline(one)}\n`);
    return `${start.trimEnd()}\n${lines.join(`${inner}|\n`)}`;
  }
  if (isObject(schema)) return `${start}{\n${memberLines(schema, inner)}${indent}}\n`;
  const items = schema.items as Schema | undefined;
  if (items === undefined || !isObject(items)) throw new Error(`${start}no way to break it`);
  return `${start}[{\n${memberLines(items, inner)}${indent}}] ${span(schema, 'Items')}\n`;
}

function members({
  properties,
  ...schema
}: Schema & { properties: Record<string, Schema> }): [string, Schema][] {
  const required = new Set(schema.required as readonly string[]);
  return Object.entries(properties)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => [required.has(name) ? name : `${name}?`, member]);
}

/** A schema on one line, by its name where it has one. */
function inline(schema: Schema): string {
  return (
    nameOf(schema) ??
    alternatives(schema)
      .map((one) => nameOf(one) ?? body(one))
      .join(' | ')
  );
}

function body(schema: Schema): string {
  if ('const' in schema) return JSON.stringify(schema.const);
  if ('enum' in schema)
    return (schema.enum as unknown[]).map((one) => JSON.stringify(one)).join(' | ');
  if (isObject(schema)) {
    return `{${members(schema)
      .map(([name, member]) => `${name}: ${inline(member)}`)
      .join(', ')}}`;
  }
  switch (schema.type) {
    case 'integer':
      return integerOf(schema);
    case 'string':
      return stringOf(schema);
    case 'array':
      return `[${inline(schema.items as Schema)}] ${span(schema, 'Items')}`;
    case 'object':
      return recordOf(schema);
    case 'boolean':
      return 'true | false';
    default:
      throw new Error(`no grammar for ${JSON.stringify(schema)}`);
  }
}

function integerOf({ minimum, maximum }: Schema): string {
  return `${String(minimum)}..${maximum === largest ? '' : String(maximum)}`;
}

function stringOf({ pattern, maxLength }: Schema): string {
  const source = String(pattern);
  if (typeof maxLength === 'number') {
    return `${source.startsWith('^(?:\\n') ? 'lines' : 'text'}(${maxLength})`;
  }
  return `/${withSlashesEscaped(source.slice('^(?:'.length, -')$'.length))}/`;
}

/** Within brackets a slash ends nothing, so it stays as it is. */
function withSlashesEscaped(source: string): string {
  return source.replace(/\[[^\]]*\]|\//g, (part) => (part === '/' ? String.raw`\/` : part));
}

function recordOf(schema: Schema): string {
  if (!('propertyNames' in schema)) return 'object';
  const [name, item] = [schema.propertyNames, schema.additionalProperties] as [Schema, Schema];
  return `{${inline(name)}: ${inline(item)}} ${span(schema, 'Properties')}`;
}

function span(schema: Schema, what: 'Items' | 'Properties'): string {
  return `${String(schema[`min${what}`])}..${String(schema[`max${what}`])}`;
}
