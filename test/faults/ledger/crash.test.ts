import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Signer } from '#core/signer.ts';
import type { Reading } from '#core/energy/message.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import type { LedgerLimits } from '#ledger/config.ts';
import { createLedger, type Ledger } from '#ledger/service.ts';
import { manualClock, type ManualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { auditLog } from '#support/audit-log.ts';
import { breakAt, type Breaking, type Moment } from '#support/breaking.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { removeTestFolders, scratchFolder, testStartS } from '#support/test-ledger.ts';

removeTestFolders();

const hour = 3600;
const t0 = testStartS;
/** The loop ends at the first that does not come. */
const operationsLimit = 400;
/** Then another log begins: every death is audited from the first entry on, and logs only grow. */
const deathsPerLog = { postgres: 15, pglite: operationsLimit } as const;
/** The second log begins so large that its first full tiles are written among the deaths. */
const accountsBelowFullTile = 235;
interface Shape {
  readonly plants: readonly string[];
  readonly limits: Partial<LedgerLimits>;
  /** It has as many operations at least. */
  readonly operations: number;
  /** How many operations are passed over: PGlite is slower and does the same. */
  readonly strides: { readonly postgres: number; readonly pglite: number };
}

const oneGroup: Shape = {
  plants: ['p1'],
  limits: {},
  operations: 100,
  strides: { postgres: 1, pglite: 4 },
};
/** Each hour is a group of its own, decided while the one before is on its way into the log. */
const groupsAhead: Shape = {
  plants: ['p1', 'p2', 'p3'],
  limits: { hoursPerGroup: 1 },
  operations: 120,
  strides: { postgres: 3, pglite: 16 },
};

/** A log key that remembers what it signed: two roots of one size would be a split log. */
function watchedSigner(): { signer: Signer; signed: Map<string, string> } {
  const signed = new Map<string, string>();
  const signer: Signer = {
    ...people.logSigner,
    sign: (text) => {
      const [, size = '', root = ''] = new TextDecoder().decode(text).split('\n');
      const before = signed.get(size);
      if (before !== undefined && before !== root) throw new Error(`two roots for size ${size}`);
      signed.set(size, root);
      return people.logSigner.sign(text);
    },
  };
  return { signer, signed };
}

interface World extends Shape {
  readonly pool: Pool;
  readonly clock: ManualClock;
  readonly path: string;
  readonly signed: ReadonlyMap<string, string>;
  readonly open: (breaking?: Breaking) => Ledger;
}

async function createWorld(pool: Pool, accounts: number, shape: Shape): Promise<World> {
  const root = scratchFolder();
  const path = join(root, 'log');
  const clock = manualClock(t0 * 1000);
  const { signer, signed } = watchedSigner();
  const logger = createLogger({ name: 'test', level: 'silent' });
  const open = (breaking?: Breaking): Ledger => {
    const folder = openLogFolder(path);
    return createLedger({
      pool: breaking?.pool(pool) ?? pool,
      clock,
      signer,
      folder: breaking?.folder(folder) ?? folder,
      secretsFolder: join(root, 'secrets'),
      logger,
      limits: shape.limits,
    });
  };
  const first = open();
  const before = Array.from({ length: accounts }, (_, i) => people.account(`early${i}`));
  const plants = shape.plants.flatMap((plant) => people.simplePlant(plant));
  await first.submit([people.genesis(), ...plants, ...before]);
  await first.step();
  return { ...shape, pool, clock, path, signed, open };
}

/** Dies in the hour `round` of this log and goes on; whether there was anything to die at. */
async function dieAndGoOn(world: World, round: number, breaking: Breaking): Promise<boolean> {
  const { pool, clock, path, open, plants } = world;
  for (const plant of plants) await insertMessages(pool, [{ jws: hourMessage(plant, round) }]);
  await clock.advance((t0 + (round + 1) * hour + 10) * 1000);
  const dying = open(breaking);
  const work = async (): Promise<void> => {
    await dying.submit([people.account(`a${round}`)]);
    await dying.step();
  };
  await work().catch((error: unknown) => {
    if (!breaking.isBroken()) throw error;
  });

  await open().step();
  const report = await auditLog(path);
  expect({ where: breaking.where(), findings: report.findings }).toEqual({
    where: breaking.where(),
    findings: [],
  });
  expect(report.hours).toBe((round + 1) * plants.length);
  await expectIssuedOnce(pool, plants, (round + 1) * 1000);
  return breaking.isBroken();
}

onEachEngine('a ledger that dies at any of its operations', (start, engine) => {
  test.each<[Moment, string, Shape]>([
    ['before', 'one group at a time', oneGroup],
    ['after', 'one group at a time', oneGroup],
    ['before', 'groups decided ahead', groupsAhead],
    ['after', 'groups decided ahead', groupsAhead],
  ])(
    'goes on where it was: dying %s it, with %s',
    async (moment, _name, shape) => {
      let operation = 0;
      let signedSizes = 0;
      for (let isBroken = true, logs = 0; isBroken; logs++) {
        const accounts = logs === 1 ? accountsBelowFullTile : 0;
        const world = await createWorld((await start()).pool, accounts, shape);
        for (let round = 0; isBroken && round < deathsPerLog[engine]; round++) {
          expect(operation).toBeLessThan(operationsLimit);
          isBroken = await dieAndGoOn(world, round, breakAt(operation, moment));
          operation += shape.strides[engine];
        }
        signedSizes += world.signed.size;
      }
      expect(operation).toBeGreaterThan(shape.operations);
      expect(signedSizes).toBeGreaterThan(shape.operations / shape.strides[engine]);
    },
    600_000,
  );
});

function hourMessage(plant: string, i: number): string {
  const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });
  const readings = [at(t0 + i * hour, i * 1000), at(t0 + (i + 1) * hour, (i + 1) * 1000)];
  return people.message({ plant, meter: `${plant}-m`, seq: i + 1, readings });
}

async function expectIssuedOnce(
  pool: Pool,
  plants: readonly string[],
  issuedWh: number,
): Promise<void> {
  const rows = await pool.rows<{ series: string; issued: number; last: number }>(
    `select series, sum(upper(range) - lower(range))::bigint as issued, max(upper(range)) - 1 as last
     from bundle group by series order by series`,
  );
  expect(rows).toEqual(
    plants.map((plant) => ({ series: `energy/${plant}`, issued: issuedWh, last: issuedWh })),
  );
}
