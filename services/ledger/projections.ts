import { fromHex } from '#core/bytes.ts';
import { Fatal } from '#core/errors.ts';
import type { Judgement } from '#core/certificate/fold.ts';
import { specAs, specOf, type SpecOf } from '#core/certificate/kinds.ts';
import { type IssuedRange, issuedRangesOf, noSeries } from '#core/certificate/state/series.ts';
import type { LogState } from '#core/certificate/state/state.ts';
import { parseMeterJwk } from '#core/keys.ts';
import { encodeFramed } from '#core/energy/evidence-file.ts';
import type { Sql } from '#platform/postgres.ts';
import type { HourFacts } from './draft.ts';
import { saveAccount } from './account-store.ts';
import { touchHours } from './dirty-store.ts';
import { projectEmissions } from './emission-projection.ts';
import { insertHours, insertRecords, readLatestHours, replaceBundles } from './hour-store.ts';
import type { BundleRow, HourRow, RecordRow } from './hour-store.ts';
import { endKey, freezeKey, insertGenesis, insertKey, insertMeter } from './register-store.ts';
import { insertPlant, readPlantIds, updateIngestionKeys, updatePlant } from './register-store.ts';
import { updateMeter, updateRules } from './register-store.ts';
import { insertUnitChanges } from './unit-changes.ts';

/** An entry that broke no rule and has just been folded; `facts` where the ledger planned it itself. */
export interface Folded {
  readonly judgement: Judgement;
  readonly facts: HourFacts | undefined;
}

/**
 * Writes what entries say into the tables that others read, in the transaction that sequences them.
 * `state` is that after the last of them. What is void is written nowhere (D3.3).
 */
export async function project(sql: Sql, state: LogState, folded: readonly Folded[]): Promise<void> {
  for (const { judgement } of folded) await projectRegister(sql, state, judgement);
  const hours = folded.filter(({ judgement }) => isHour(judgement));
  if (hours.length > 0) await projectHours(sql, state, hours);
  await projectBundles(sql, state, folded);
  const judgements = folded.map(({ judgement }) => judgement);
  await insertUnitChanges(sql, state, judgements);
  await projectEmissions(sql, state, judgements);
}

function isHour({ entry }: Judgement): boolean {
  return entry?.kind === 'hour' || entry?.kind === 'hour-correction';
}

async function projectRegister(
  sql: Sql,
  state: LogState,
  { entry, ref: { index } }: Judgement,
): Promise<void> {
  switch (entry?.kind) {
    case 'genesis':
      return insertGenesis(sql, specOf.genesis.parse(entry.spec));
    case 'rules': {
      const { nonce: _nonce, notAfter: _notAfter, ...body } = specOf.rules.parse(entry.spec);
      return updateRules(sql, body);
    }
    case 'account':
      return projectAccount(sql, state, { account: specAs('account', entry.spec).account, index });
    case 'account-key':
      return projectAccount(sql, state, {
        account: specAs('account-key', entry.spec).account,
        index,
      });
    case 'ingestion-key':
      return updateIngestionKeys(sql, state.genesis?.ingestionKeys ?? []);
    case 'plant':
      return insertPlant(sql, specOf.plant.parse(entry.spec));
    case 'plant-change': {
      const { plant } = specOf['plant-change'].parse(entry.spec);
      const found = state.plants.get(plant);
      if (found !== undefined) await updatePlant(sql, found.spec);
      return;
    }
    case 'meter':
      return insertMeter(sql, specOf.meter.parse(entry.spec));
    case 'meter-change':
      return projectMeterChange(sql, state, {
        index,
        spec: specOf['meter-change'].parse(entry.spec),
      });
    case 'key': {
      const spec = specOf.key.parse(entry.spec);
      return insertKey(sql, { kid: parseMeterJwk(spec.jwk).kid, spec }, index);
    }
    case 'key-end': {
      const spec = specOf['key-end'].parse(entry.spec);
      await endKey(sql, spec, index);
      return touchHours(sql, { kind: 'key-end', kid: spec.kid, t: spec.lastT });
    }
    case 'fork': {
      const { kid, seq } = specOf.fork.parse(entry.spec);
      await freezeKey(sql, { kid, frozen: true }, index);
      return touchHours(sql, { kind: 'key', kid, fromSeq: seq, toSeq: seq });
    }
    case 'freeze':
      return projectFreeze(sql, state, { ...specOf.freeze.parse(entry.spec), index, frozen: true });
    case 'unfreeze':
      return projectFreeze(sql, state, {
        ...specOf.unfreeze.parse(entry.spec),
        ...{ index, frozen: false },
      });
    case 'decision':
      return projectDecision(sql, specOf.decision.parse(entry.spec));
    case 'exchange': {
      const { meter, t } = specOf.exchange.parse(entry.spec);
      return touchHours(sql, { kind: 'meter', meter, t });
    }
    default:
      return;
  }
}

async function projectAccount(
  sql: Sql,
  state: LogState,
  { account, index }: { account: string; index: number },
): Promise<void> {
  const found = state.accounts.get(account);
  if (found === undefined) throw new Fatal('register', `the register lacks ${account}`);
  await saveAccount(sql, found, index);
}

async function projectMeterChange(
  sql: Sql,
  state: LogState,
  { index, spec }: { index: number; spec: SpecOf<'meter-change'> },
): Promise<void> {
  const found = state.meters.get(spec.meter);
  if (found === undefined) throw new Fatal('register', `the register lacks ${spec.meter}`);
  await updateMeter(sql, { spec: found.spec, endsAt: found.end?.spec.endsAt }, index);
  if (!('endsAt' in spec)) return;
  const withinS = state.genesis?.rules.correctWithinS ?? 0;
  await touchHours(sql, { kind: 'meter-end', meter: spec.meter, t: spec.endsAt, withinS });
}

/** What was disputed because of a frozen thing is looked at again once it is free. */
async function projectFreeze(
  sql: Sql,
  state: LogState,
  {
    what,
    id,
    index,
    frozen,
  }: Pick<SpecOf<'freeze'>, 'what' | 'id'> & { index: number; frozen: boolean },
): Promise<void> {
  if (what === 'account') return projectAccount(sql, state, { account: id, index });
  if (what === 'key') {
    await freezeKey(sql, { kid: id, frozen }, index);
    if (!frozen) await touchHours(sql, { kind: 'disputed-key', kid: id });
  } else if (!frozen) {
    await touchHours(sql, { kind: `disputed-${what}`, id });
  }
}

async function projectDecision(sql: Sql, spec: SpecOf<'decision'>): Promise<void> {
  if (spec.effect === 'break') {
    await touchHours(sql, { kind: 'meter', meter: spec.meter, t: spec.t });
    return;
  }
  const [fromSeq, toSeq] = 'seq' in spec ? [spec.seq, spec.seq] : [spec.from, spec.to];
  await touchHours(sql, { kind: 'key', kid: spec.kid, fromSeq, toSeq });
  await touchHours(sql, { kind: 'disputed-key', kid: spec.kid });
}

async function projectHours(sql: Sql, state: LogState, folded: readonly Folded[]): Promise<void> {
  const planned = folded.map(({ judgement, facts }) => facts ?? statedFacts(judgement));
  const ids = await readPlantIds(sql, [...new Set(planned.map(({ plant }) => plant))]);
  const versions = await versionsOf(sql, { planned, ids });
  const rows: HourRow[] = [];
  const records: RecordRow[] = [];
  planned.forEach((facts, i) => {
    const entryIndex = folded[i]?.judgement.ref.index;
    const plantId = ids.get(facts.plant);
    const hour = state.plants.get(facts.plant)?.hours.get(facts.start);
    if (entryIndex === undefined || plantId === undefined || hour === undefined) {
      throw new Fatal('register', `the register lacks what the log says of ${facts.plant}`);
    }
    rows.push({
      plantId,
      version: facts.version > 0 ? facts.version : (versions.get(facts) ?? 1),
      entryIndex,
      time: folded[i]?.judgement.entry?.time ?? 0,
      certifiedWh: hour.certifiedWh,
      facts,
    });
    records.push({
      entryIndex,
      records: encodeFramed(facts.records),
      salt: facts.committed?.salt,
      opening: facts.committed && JSON.stringify(facts.committed.opening),
    });
  });
  await insertHours(sql, rows);
  await insertRecords(sql, records);
}

/** Its place among the versions of an hour that this ledger did not plan. */
async function versionsOf(
  sql: Sql,
  { planned, ids }: { planned: readonly HourFacts[]; ids: ReadonlyMap<string, number> },
): Promise<Map<HourFacts, number>> {
  const unknown = planned.filter(({ version }) => version === unknownVersion);
  const hours = unknown.map(({ plant, start }) => ({ plantId: ids.get(plant) ?? 0, start }));
  const latest = new Map(
    (await readLatestHours(sql, hours)).map((row) => [`${row.plantId} ${row.start}`, row.version]),
  );
  return new Map(
    unknown.map((facts) => {
      const version = latest.get(`${ids.get(facts.plant) ?? 0} ${facts.start}`) ?? 0;
      return [facts, version + 1];
    }),
  );
}

const unknownVersion = 0;

/** Of an hour that this ledger did not plan only the entry is known; it is not called complete. */
function statedFacts({ entry }: Judgement): HourFacts {
  if (entry?.kind === 'hour') {
    const spec = specOf.hour.parse(entry.spec);
    return { ...unplanned, ...roots(spec), ...('generation' in spec && figures(spec)) };
  }
  const spec = specOf['hour-correction'].parse(entry?.spec);
  const { amends } = spec;
  return { ...unplanned, amends, ...roots(spec), ...('generation' in spec && figures(spec)) };
}

const unplanned = {
  version: unknownVersion,
  amends: undefined,
  generationWh: 0,
  consumptionWh: undefined,
  co2G: undefined,
  operatingS: undefined,
  validS: undefined,
  quality: 'partial',
  messages: 0,
  complete: false,
  records: [],
  committed: undefined,
} as const;

function roots(
  spec: Pick<SpecOf<'hour'>, 'plant' | 'interval' | 'batchRoot' | 'metersRoot'>,
): Pick<HourFacts, 'plant' | 'start' | 'batchRoot' | 'metersRoot'> {
  return {
    plant: spec.plant,
    start: spec.interval.start,
    batchRoot: fromHex(spec.batchRoot),
    metersRoot: fromHex(spec.metersRoot),
  };
}

type OpenHour = Extract<SpecOf<'hour'>, { generation: number }>;

function figures(
  spec: Pick<
    OpenHour,
    'generation' | 'consumption' | 'co2G' | 'operatingS' | 'validS' | 'quality' | 'messages'
  >,
): Pick<
  HourFacts,
  'generationWh' | 'consumptionWh' | 'co2G' | 'operatingS' | 'validS' | 'quality' | 'messages'
> {
  return {
    generationWh: spec.generation,
    consumptionWh: spec.consumption,
    co2G: spec.co2G,
    operatingS: spec.operatingS,
    validS: spec.validS,
    quality: spec.quality,
    messages: spec.messages,
  };
}

/** Rewrites every issued range that an entry changed, as it is after the last of them. */
async function projectBundles(sql: Sql, state: LogState, folded: readonly Folded[]): Promise<void> {
  const changed = new Map<string, { series: string; range: IssuedRange }>();
  const firstNew = folded[0]?.judgement.ref.index ?? 0;
  for (const { judgement } of folded) {
    for (const { series, ranges } of judgement.moved ?? []) {
      const found = state.series.get(series) ?? noSeries;
      for (const issued of ranges.flatMap((range) => issuedRangesOf(found, range))) {
        changed.set(`${series} ${issued.from}`, { series, range: issued });
      }
    }
  }
  const all = [...changed.values()];
  const rows: BundleRow[] = all.flatMap(({ series, range }) =>
    range.pieces.map((piece) => ({
      ...piece,
      series,
      issuedIndex: range.index,
      hourStart: range.hourStart,
    })),
  );
  const cleared = all.filter(({ range }) => range.index < firstNew);
  await replaceBundles(
    sql,
    cleared.map(({ series, range: { from, to } }) => ({ series, from, to })),
    rows,
  );
}
