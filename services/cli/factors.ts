import { decodeUtf8 } from '#core/bytes.ts';
import { signedDraft } from '#core/certificate/entry.ts';
import { csvLimit, parseFactorCsv } from '#core/energy/emissions/factor-csv.ts';
import type { FactorSet } from '#core/energy/emissions/factor-set.ts';
import { instantText } from '#core/energy/hours.ts';
import { Refused, within } from '#core/errors.ts';
import { canonicalText } from '#core/jcs.ts';
import { enterActions, once } from '#ledger/meter-desk.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Terminal } from '#platform/terminal.ts';
import { factorSetsPerPage, listFactorSets, type FactorSetInLog } from '#registry/emissions.ts';
import { atDesk, inDatabase, type RegisterOptions } from './entering.ts';
import { readLimited } from './read-file.ts';

/** Emission factors in the log. */

/**
 * `hourseal factors load`: enters every set of a table that is not in the log yet. A wrong row, and a
 * version that is there with other factors, is refused, and then nothing is entered.
 */
export async function loadFactors(
  file: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  const text = decodeUtf8(await readLimited(file, csvLimit));
  const sets = within(file, () => parseFactorCsv(text));
  return atDesk(options, terminal, async (desk) => {
    const known = new Map((await allFactorSets(desk.pool)).map((set) => [nameOf(set), set]));
    const fresh = sets.filter((set) => !isKnown(set, known.get(nameOf(set))));
    for (const set of sets.filter((one) => !fresh.includes(one))) {
      terminal.out(`${nameOf(set)}: is in the log already\n`);
    }
    if (fresh.length === 0) return [];
    const { origin } = await desk.ledger.settings();
    const signers = [await desk.keys.issuer()];
    const drafts = fresh.map((set) =>
      signedDraft({ kind: 'factors', origin, spec: { ...set, ...once(desk) } }, signers),
    );
    return enterActions(desk, drafts);
  });
}

function isKnown(set: FactorSet, found: FactorSetInLog | undefined): boolean {
  if (found === undefined) return false;
  const { from, to } = set.validity;
  const isSame =
    canonicalText(set.rows) === canonicalText(found.rows) &&
    from === found.validFrom &&
    to === found.validTo;
  if (isSame) return true;
  throw new Refused(
    'factors',
    `${nameOf(set)} is in the log with other factors: what was entered is never changed, give it another version`,
  );
}

/** `hourseal factors list`: every set in the log, and how long it is valid. */
export async function showFactors(
  options: RegisterOptions & { readonly json?: boolean },
  terminal: Terminal,
): Promise<number> {
  return inDatabase(options, async ({ pool }) => {
    for (const set of await allFactorSets(pool)) {
      terminal.out(options.json === true ? `${canonicalText(told(set))}\n` : line(set));
    }
  });
}

function told({ validTo, ...set }: FactorSetInLog): object {
  return { ...set, ...(validTo !== undefined && { validTo }) };
}

function line({ entryIndex, rows, set, validFrom, validTo, version }: FactorSetInLog): string {
  const span = `from ${instantText(validFrom)}${validTo === undefined ? '' : ` to ${instantText(validTo)}`}`;
  return `${set} ${version}: ${rows.length} ${rows.length === 1 ? 'factor' : 'factors'}, ${span}, entry ${entryIndex}\n`;
}

async function allFactorSets(pool: Pool): Promise<readonly FactorSetInLog[]> {
  const all: FactorSetInLog[] = [];
  for (;;) {
    const page = await listFactorSets(pool, all.at(-1));
    all.push(...page);
    if (page.length < factorSetsPerPage) return all;
  }
}

function nameOf({ set, version }: Pick<FactorSet, 'set' | 'version'>): string {
  return `${set} ${version}`;
}
