import { expect, expectTypeOf, test } from 'vitest';
import { Refused } from '#core/errors.ts';
import {
  describeConfig,
  flag,
  integer,
  listenAddress,
  oneOf,
  optional,
  path,
  readConfig,
  text,
  url,
} from '#platform/config.ts';

const wanted = {
  portNumber: integer('X_PORT', { about: 'where', unit: '', min: 1, max: 65_535, default: 1883 }),
  limitMs: integer('X_LIMIT_MS', { about: 'how long', unit: 'ms', min: 0, max: 1000 }),
  name: text('X_NAME', { about: 'who', pattern: /^[a-z]+$/, default: 'plant' }),
  strict: flag('X_STRICT', { about: 'whether', default: false }),
  level: oneOf('X_LEVEL', { about: 'how loud', values: ['info', 'warn'], default: 'info' }),
  folder: path('X_FOLDER', { about: 'where', default: 'data' }),
  database: optional(
    url('X_DATABASE_URL', {
      about: 'which',
      protocols: ['postgres:', 'postgresql:'],
      secret: true,
    }),
  ),
};

test('defaults fill what is unset or empty, and every member has its type', () => {
  const config = readConfig(wanted, { X_LIMIT_MS: '0', X_NAME: '' });
  expect(config).toEqual({
    portNumber: 1883,
    limitMs: 0,
    name: 'plant',
    strict: false,
    level: 'info',
    folder: `${process.cwd()}/data`,
    database: undefined,
  });
  expectTypeOf(config.portNumber).toEqualTypeOf<number>();
  expectTypeOf(config.database).toEqualTypeOf<string | undefined>();
  expectTypeOf(config.level).toEqualTypeOf<'info' | 'warn'>();
});

test('what is set is read', () => {
  const config = readConfig(wanted, {
    X_PORT: '8883',
    X_LIMIT_MS: '1000',
    X_STRICT: 'true',
    X_LEVEL: 'warn',
    X_FOLDER: '/srv',
    X_DATABASE_URL: 'postgres://u:p@h/d',
  });
  expect(config).toMatchObject({ portNumber: 8883, strict: true, level: 'warn', folder: '/srv' });
  expect(config.database).toBe('postgres://u:p@h/d');
});

test('everything that is wrong is told in one message, by name, without the secrets', () => {
  const environment = {
    X_PORT: '0',
    X_NAME: 'Plant 1',
    X_STRICT: 'yes',
    X_LEVEL: 'loud',
    X_DATABASE_URL: 'mysql://me:hunter2@h/d',
  };
  const read = (): unknown => readConfig(wanted, environment);
  expect(read).toThrow(Refused);
  expect(read).toThrow(
    'configuration: X_PORT not between 1 and 65535 ("0"); X_LIMIT_MS must be set; ' +
      'X_NAME not of the form ^[a-z]+$ ("Plant 1"); X_STRICT neither \'true\' nor \'false\' ("yes"); ' +
      'X_LEVEL none of info, warn ("loud"); ' +
      'X_DATABASE_URL not a URL beginning with postgres: or postgresql:',
  );
  expect(read).not.toThrow('hunter2');
});

test('an address to listen on is refused by name, above the highest port as well', () => {
  const listening = { listen: listenAddress('X_LISTEN', { about: 'where', default: '[::1]:80' }) };
  expect(readConfig(listening, {}).listen).toEqual({ host: '::1', port: 80 });
  expect(readConfig(listening, { X_LISTEN: 'a:0' }).listen).toEqual({ host: 'a', port: 0 });
  expect(() => readConfig(listening, { X_LISTEN: 'a:65536' })).toThrow(
    'configuration: X_LISTEN not host:port, a port from 0 to 65535 ("a:65536")',
  );
  expect(describeConfig(listening)).toMatchObject([{ defaultText: '[::1]:80', required: false }]);
});

test.each(['1e3', '0x10', ' 5', '5 ', '05', '+5', '1.0', '-1', '1001', 'NaN', '9007199254740993'])(
  'the number %j is refused',
  (value) => {
    expect(() => readConfig(wanted, { X_LIMIT_MS: value })).toThrow('X_LIMIT_MS');
  },
);

test('the variables describe themselves for the table of the README', () => {
  const rows = describeConfig(wanted);
  expect(rows.map(({ name }) => name)).toEqual(Object.values(wanted).map(({ name }) => name));
  expect(rows[0]).toEqual({
    name: 'X_PORT',
    about: 'where',
    unit: '',
    defaultText: '1883',
    required: false,
  });
  expect(rows[1]).toMatchObject({ unit: 'ms', defaultText: '', required: true });
  expect(rows[6]).toMatchObject({ required: false, defaultText: '' });
});
