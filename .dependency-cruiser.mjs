/**
 * Who may import whom (D1). Each rule is seen to refuse a planted violation by
 * test/unit/tooling/import-rules.test.ts; a rule added here needs one there.
 */

/** Only in this file may Kafka's client be imported: services see a bus, never its engine. */
const kafkaClient = '^services/platform/kafka/client\\.ts$';
/** The durable file store that a device shares with the server (D6); the only such exception. */
const durableStore = '^services/platform/(append-log|durable-file|folder-lock)\\.ts$';

/** A package as the resolver sees it, wherever it is hoisted to. */
const packages = (...names) => `(^|/)node_modules/(${names.join('|')})(/|$)`;

/** Everything in `room` stays inside the folders that `allowed` (a regular expression) matches. */
function stays(name, room, { allowed, because }) {
  return {
    name,
    comment: because,
    severity: 'error',
    from: { path: room },
    to: {
      path: '^(services|devices|dashboards|infra|test)/',
      pathNot: allowed,
    },
  };
}

/** Packages that only `room` may import. */
function onlyIn(name, room, { names, because }) {
  return {
    name,
    comment: because,
    severity: 'error',
    from: { path: '^(services|devices|dashboards|test)/', pathNot: room },
    to: { path: packages(...names) },
  };
}

const services = ['broker', 'ingestion', 'ledger', 'witness', 'registry', 'api'];

export default {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'A circle has no first file to read.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'not-to-unresolvable',
      comment: 'An import that leads nowhere also escapes every other rule.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'rooms-by-name',
      comment: 'Another room is imported by its # name; relative paths stay inside one.',
      severity: 'error',
      from: { path: '^(services/[^/]+|devices)/' },
      to: {
        path: '^(services|devices|dashboards|infra)/',
        pathNot: '^$1/',
        dependencyTypesNot: ['aliased-subpath-import'],
      },
    },
    stays('core-imports-core-alone', '^services/core/', {
      allowed: '^services/core/',
      because: 'The core is pure, and runs in a browser.',
    }),
    {
      name: 'core-imports-small-pure-packages',
      comment: 'The core also runs in a browser: two audited libraries, nothing else.',
      severity: 'error',
      from: { path: '^services/core/' },
      to: {
        path: '(^|/)node_modules/',
        pathNot: packages('@noble/(hashes|curves)', 'canonicalize'),
      },
    },
    {
      name: 'core-without-node',
      comment: 'Only the *.node.ts twin of a core file may use what Node brings.',
      severity: 'error',
      from: { path: '^services/core/', pathNot: '\\.node\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'core-browser-twin',
      comment:
        'A node-only core file would follow its importer into the browser; `#crypto` chooses.',
      severity: 'error',
      from: { path: '^services/core/', pathNot: '\\.node\\.ts$' },
      to: {
        path: '^services/core/.*\\.node\\.ts$',
        dependencyTypesNot: ['aliased-subpath-import'],
      },
    },
    {
      name: 'tlog-knows-no-energy',
      comment: 'The transparency log carries bytes; what they mean is not its business.',
      severity: 'error',
      from: { path: '^services/core/tlog/' },
      to: { path: '^services/core/(energy|certificate)/' },
    },
    {
      name: 'energy-knows-no-certificates',
      comment: 'Certificates rest on energy, never the reverse.',
      severity: 'error',
      from: { path: '^services/core/energy/' },
      to: { path: '^services/core/certificate/' },
    },
    {
      name: 'what-informs-certifies-nothing',
      comment: 'Estimates and the rules that inform people are for charts and screens (D4.2).',
      severity: 'error',
      from: {
        path: '^services/(ledger|witness|registry|core/(certificate|energy))/',
        pathNot: '^services/core/energy/validation/',
      },
      to: {
        path: '^services/core/energy/(estimate\\.ts|validation/)',
        // The log's rules hold the thresholds of both.
        pathNot: '/validation/thresholds\\.ts$',
      },
    },
    stays('platform-imports-core', '^services/platform/', {
      allowed: '^services/(core|platform)/',
      because: 'The platform serves every service and so knows none.',
    }),
    ...services.map((service) =>
      stays(`${service}-imports-no-service`, `^services/${service}/`, {
        allowed: `^services/(core|platform|${service})/`,
        because: 'Services meet in the database, on the bus and over HTTP.',
      }),
    ),
    stays('portal-imports-core-alone', '^services/portal/', {
      allowed: '^services/(core|portal)/',
      because: "The regulator's browser runs the very verifier that the server runs.",
    }),
    stays('devices-import-core', '^devices/', {
      allowed: `^devices/|^services/core/|${durableStore}`,
      because: 'A device is somebody else: it shares formats and the durable store, no service.',
    }),
    stays('dashboards-import-themselves', '^dashboards/', {
      allowed: '^dashboards/',
      because: 'Dashboards are data and a client of their own.',
    }),
    {
      name: 'only-standalone-and-cli-compose',
      comment: 'One process out of many services is put together in two places.',
      severity: 'error',
      from: { path: '^services/', pathNot: '^services/(standalone|cli)/' },
      to: { path: '^services/(standalone|cli)/' },
    },
    {
      name: 'standalone-without-cli',
      comment: 'The command starts the standalone process, not the reverse.',
      severity: 'error',
      from: { path: '^services/standalone/' },
      to: { path: '^services/cli/' },
    },
    {
      name: 'production-without-tests',
      comment: 'What is shipped does not lean on what tests it.',
      severity: 'error',
      from: { path: '^(services|devices|dashboards)/' },
      to: { path: '^test/' },
    },
    {
      name: 'production-without-dev-dependencies',
      comment: '`npm ci --omit=dev` must still run.',
      severity: 'error',
      from: { path: '^(services|devices|dashboards)/' },
      to: {
        dependencyTypes: ['npm-dev'],
        // A package that is imported for its types alone may bring them from a development one.
        dependencyTypesNot: ['type-only'],
        pathNot: packages('@types'),
      },
    },
    {
      name: 'only-declared-packages',
      comment: 'What package.json does not name is there by accident.',
      severity: 'error',
      from: { path: '^(services|devices|dashboards|test)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    onlyIn('database-and-logger-in-platform', '^(services/platform|test)/', {
      names: ['pg', 'pg-[^/]+', '@electric-sql', 'node-pg-migrate', 'pino'],
      because: 'Services see a store and a logger, never which engine is behind them.',
    }),
    onlyIn('broker-engine-in-broker', '^services/broker/', {
      names: ['aedes', 'aedes-[^/]+'],
      because: 'Any MQTT 5 broker can take its place.',
    }),
    onlyIn('mqtt-client-at-the-edge', '^(services/ingestion|devices|test)/', {
      names: ['mqtt', 'mqtt-packet'],
      because: 'Messages travel over MQTT between devices and ingestion, nowhere else.',
    }),
    onlyIn('kafka-in-one-file', kafkaClient, {
      names: ['kafkajs'],
      because: 'The bus has one interface and this is one of its two engines.',
    }),
    onlyIn('http-server-where-one-listens', '^(services/(witness|ledger|api)|test)/', {
      names: ['express', 'body-parser', 'serve-static'],
      because: 'What listens is few and known; everything else is asked through it.',
    }),
    onlyIn('sun-position-in-devices', '^(devices|test)/', {
      names: ['suncalc'],
      because: 'Only simulated plants need to know where the sun stands.',
    }),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(test/vectors|generated)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    combinedDependencies: false,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.json', '.d.ts'],
    },
  },
};
