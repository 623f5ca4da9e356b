import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const cruiser = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
const timeoutMs = 100_000;

/** Each rule with the imports it must refuse: the importing file, and what it imports. */
const planted: Record<string, readonly (readonly [file: string, target: string])[]> = {
  'no-circular': [['services/ledger/circle.ts', './circle.ts']],
  'not-to-unresolvable': [['services/ledger/lost.ts', './nowhere.ts']],
  'rooms-by-name': [
    ['services/ledger/by-path.ts', '../core/clean.ts'],
    ['devices/by-path.ts', '../services/core/clean.ts'],
  ],
  'core-imports-core-alone': [
    ['services/core/up.ts', '#platform/clean.ts'],
    ['services/core/out.ts', '#devices/clean.ts'],
  ],
  'core-imports-small-pure-packages': [['services/core/package.ts', 'commander']],
  'core-without-node': [
    ['services/core/node.ts', 'node:crypto'],
    ['services/core/tlog/node.ts', 'node:fs'],
  ],
  'core-browser-twin': [['services/core/twin.ts', './clean.node.ts']],
  'tlog-knows-no-energy': [
    ['services/core/tlog/energy.ts', '#core/energy/clean.ts'],
    ['services/core/tlog/certificate.ts', '../certificate/clean.ts'],
  ],
  'energy-knows-no-certificates': [['services/core/energy/up.ts', '#core/certificate/clean.ts']],
  'what-informs-certifies-nothing': [
    ['services/core/certificate/estimates.ts', '#core/energy/estimate.ts'],
    ['services/core/energy/informed.ts', './validation/clean.ts'],
    ['services/ledger/informed.ts', '#core/energy/validation/clean.ts'],
  ],
  'platform-imports-core': [['services/platform/up.ts', '#ledger/clean.ts']],
  'broker-imports-no-service': [['services/broker/side.ts', '#ingestion/clean.ts']],
  'ingestion-imports-no-service': [
    ['services/ingestion/side.ts', '#ledger/clean.ts'],
    ['services/ingestion/device.ts', '#devices/clean.ts'],
  ],
  'ledger-imports-no-service': [['services/ledger/side.ts', '#ingestion/clean.ts']],
  'witness-imports-no-service': [['services/witness/side.ts', '#ledger/clean.ts']],
  'registry-imports-no-service': [['services/registry/side.ts', '#ledger/clean.ts']],
  'api-imports-no-service': [['services/api/side.ts', '#ledger/clean.ts']],
  'portal-imports-core-alone': [['services/portal/up.ts', '#platform/clean.ts']],
  'devices-import-core': [
    ['devices/service.ts', '#ingestion/clean.ts'],
    ['devices/platform.ts', '#platform/clean.ts'],
  ],
  'dashboards-import-themselves': [['dashboards/core.ts', '../services/core/clean.ts']],
  'only-standalone-and-cli-compose': [
    ['services/registry/composes.ts', '#standalone/clean.ts'],
    ['services/platform/composes.ts', '#cli/clean.ts'],
  ],
  'standalone-without-cli': [['services/standalone/up.ts', '#cli/clean.ts']],
  'production-without-tests': [
    ['services/ledger/tests.ts', '#support/clean.ts'],
    ['devices/tests.ts', '#support/clean.ts'],
  ],
  'production-without-dev-dependencies': [['services/cli/dev.ts', 'vitest']],
  'only-declared-packages': [['services/cli/undeclared.ts', 'undeclared']],
  'database-and-logger-in-platform': [
    ['services/ledger/database.ts', 'pg'],
    ['services/ledger/embedded.ts', '@electric-sql/pglite'],
    ['services/ledger/socket.ts', '@electric-sql/pglite-socket'],
    ['services/standalone/migrations.ts', 'node-pg-migrate'],
    ['devices/logger.ts', 'pino'],
  ],
  'broker-engine-in-broker': [['services/standalone/broker.ts', 'aedes']],
  'mqtt-client-at-the-edge': [['services/ledger/client.ts', 'mqtt']],
  'kafka-in-one-file': [['services/platform/other-bus.ts', 'kafkajs']],
  'http-server-where-one-listens': [['services/ingestion/page.ts', 'express']],
  'sun-position-in-devices': [['services/ledger/sun.ts', 'suncalc']],
};

/** What the rules must leave alone. */
const allowed: readonly (readonly [file: string, target: string])[] = [
  ['services/core/package-ok.ts', '@noble/hashes'],
  ['services/core/package2-ok.ts', 'canonicalize'],
  ['services/core/chooses-ok.ts', '#crypto'],
  ['services/core/keys.node.ts', 'node:crypto'],
  ['services/core/certificate/down-ok.ts', '../energy/clean.ts'],
  ['services/core/certificate/thresholds-ok.ts', '../energy/validation/thresholds.ts'],
  ['services/ingestion/informs-ok.ts', '#core/energy/validation/clean.ts'],
  ['services/platform/core-ok.ts', '#core/clean.ts'],
  ['services/platform/pg-ok.ts', 'pg'],
  ['services/platform/kafka/client.ts', 'kafkajs'],
  ['services/broker/aedes-ok.ts', 'aedes'],
  ['services/ingestion/mqtt-ok.ts', 'mqtt'],
  ['services/ledger/platform-ok.ts', '#platform/clean.ts'],
  ['services/standalone/composes-ok.ts', '#ledger/clean.ts'],
  ['services/standalone/devices-ok.ts', '#devices/clean.ts'],
  ['services/cli/composes-ok.ts', '#standalone/clean.ts'],
  ['services/portal/core-ok.ts', '#core/clean.ts'],
  ['devices/core-ok.ts', '#core/clean.ts'],
  ['devices/append-log-ok.ts', '#platform/append-log.ts'],
  ['devices/durable-file-ok.ts', '#platform/durable-file.ts'],
  ['devices/folder-lock-ok.ts', '#platform/folder-lock.ts'],
  ['devices/sun-ok.ts', 'suncalc'],
  ['test/e2e/composes-ok.ts', '#ledger/clean.ts'],
  ['test/e2e/dev-ok.ts', 'vitest'],
];

const rooms = ['core', 'platform', 'broker', 'ingestion', 'ledger', 'standalone', 'cli'];
const clean = [
  ...rooms.map((room) => `services/${room}/clean.ts`),
  ...['tlog', 'energy', 'certificate'].map((room) => `services/core/${room}/clean.ts`),
  ...['clean', 'crypto', 'crypto.browser'].map((name) => `services/core/${name}.node.ts`),
  ...['append-log', 'durable-file', 'folder-lock'].map((name) => `services/platform/${name}.ts`),
  ...['estimate', 'validation/clean', 'validation/thresholds'].map(
    (name) => `services/core/energy/${name}.ts`,
  ),
  'devices/clean.ts',
  'test/support/clean.ts',
];

interface Cruised {
  readonly violations: readonly Violation[];
  readonly ruleSetUsed: { readonly forbidden: readonly { readonly name: string }[] };
}

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

let tree: string;
let cruised: Cruised;

beforeAll(async () => {
  tree = await mkdtemp(join(tmpdir(), 'hourseal-imports-'));
  await plantTree();
  cruised = await cruise();
});

afterAll(() => rm(tree, { recursive: true, force: true }));

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(tree, path)), { recursive: true });
  await writeFile(join(tree, path), text);
}

/** The project's own configuration and package.json over planted sources and stubs of packages. */
async function plantTree(): Promise<void> {
  for (const name of ['.dependency-cruiser.mjs', 'tsconfig.json']) {
    await cp(join(root, name), join(tree, name));
  }
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const dependencies = { ...manifest.dependencies, kafkajs: '0.0.0' };
  await write('package.json', JSON.stringify({ ...manifest, dependencies }));
  for (const path of clean) await write(path, 'export const clean = 1;\n');
  const imports = [...Object.values(planted).flat(), ...allowed];
  for (const [path, target] of imports) await write(path, `import '${target}';\n`);
  for (const [, target] of imports) {
    if (/^[.#]|^node:/.test(target)) continue;
    await write(`node_modules/${target}/index.js`, 'export const stub = 1;\n');
    await write(
      `node_modules/${target}/package.json`,
      JSON.stringify({ name: target, version: '0.0.0', main: 'index.js' }),
    );
  }
}

async function cruise(): Promise<Cruised> {
  const args = ['--config', '.dependency-cruiser.mjs', '--output-type', 'json'];
  const run = promisify(execFile)(
    process.execPath,
    [cruiser, ...args, 'services', 'devices', 'dashboards', 'test'],
    { cwd: tree, timeout: timeoutMs, maxBuffer: 16 << 20 },
  );
  const { stdout } = await run;
  return (JSON.parse(stdout) as { summary: Cruised }).summary;
}

function rulesAgainst(file: string): string[] {
  return cruised.violations.filter(({ from }) => from === file).map(({ rule }) => rule.name);
}

describe('import rules', () => {
  test('each rule has a planted violation', () => {
    const names = cruised.ruleSetUsed.forbidden.map((rule) => rule.name);
    expect(Object.keys(planted).sort()).toEqual([...names].sort());
  });

  const cases = Object.entries(planted).flatMap(([rule, imports]) =>
    imports.map(([file, target]) => ({ rule, file, target })),
  );
  test.for(cases)('$rule refuses $target in $file', ({ rule, file }) => {
    expect(rulesAgainst(file)).toContain(rule);
  });

  test.for(allowed)('%s may import %s', ([file]) => {
    expect(rulesAgainst(file)).toEqual([]);
  });
});
