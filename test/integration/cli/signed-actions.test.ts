import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { run } from '#cli/run.ts';
import { parseAccountRequest } from '#core/certificate/account-request.ts';
import { parseSignedAction } from '#core/certificate/signed-action.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { styleOf } from '#platform/terminal.ts';
import { onPostgres, type TestPostgres } from '#support/postgres.ts';

/** What people do with an account of their own, by commands alone. */

const folder = mkdtempSync(join(tmpdir(), 'hourseal-signed-'));
const data = join(folder, 'data');
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});
const at = (file: string): string => join(folder, file);
const origin = 'log.example/signed-actions';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function hourseal(...args: readonly string[]): Promise<Ended> {
  const said = { stdout: '', stderr: '' };
  const code = await run(args, {
    out: (text) => (said.stdout += text),
    err: (text) => (said.stderr += text),
    style: styleOf({}, {}),
  });
  return { code, ...said };
}

async function ends(...args: readonly string[]): Promise<string> {
  const ended = await hourseal(...args);
  expect(ended, JSON.stringify(ended)).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

async function requireRefusal(args: readonly string[], why: RegExp): Promise<void> {
  const ended = await hourseal(...args);
  expect(ended, JSON.stringify(ended)).toMatchObject({ code: 3, stdout: '' });
  expect(ended.stderr).toMatch(/^hourseal: [^\n]*\n$/);
  expect(ended.stderr).toMatch(why);
}

const ask = (account: string, key: string, out: string): string[] => [
  ...['account', 'ask', '--private', at(key), '--origin', origin, '--account', account],
  ...['--role', 'buyer', '--identity', `${account} AG`, '--out', at(out)],
];

onPostgres('signed actions, by commands', (start) => {
  let database: TestPostgres;
  beforeAll(async () => {
    database = await start({ migrated: false });
  });
  afterAll(() => database.stop());
  beforeEach(() => {
    vi.stubEnv('DATABASE_URL', database.connectionString);
  });

  test('an account is made by its owner and added by the operator', async () => {
    await ends('init', '--origin', origin, '--data', data);
    expect(await ends('account', 'key', at('mill.pem'), '--alg', 'ES256')).toMatch(/^kid /);
    expect(await ends(...ask('mill', 'mill.pem', 'mill.json'))).toContain('hourseal account add');
    const request = parseAccountRequest(new Uint8Array(await readFile(at('mill.json'))));
    expect(request.identity).toBe('mill AG');

    // A change on the way is seen.
    const forged = canonicalBytes({ ...request, identity: 'another AG' });
    await writeFile(at('forged.json'), forged);
    await requireRefusal(
      ['account', 'add', at('forged.json'), '--data', data],
      /forged\.json: the hash in the action is not that of the identity/,
    );
    expect(await ends('account', 'add', at('mill.json'), '--data', data)).toMatch(
      /^entry \d+: account\n/,
    );
    const kept: unknown = JSON.parse(
      await readFile(join(data, 'secrets', 'identities', 'mill.json'), 'utf8'),
    );
    expect(kept).toEqual({ identity: 'mill AG', salt: request.salt });
    await requireRefusal(['account', 'add', at('mill.json'), '--data', data], /not entered/);
    expect(await ends('account', 'list', '--data', data)).toMatch(/^buyer +\S{43} {2}mill\n$/);
  });

  test('an action is signed where the key is, and handed in once', async () => {
    await ends('account', 'key', at('next.pem'));
    const next = JSON.parse(
      /jwk +(.*)\n/.exec(await ends('key', 'show', at('next.pem')))?.[1] ?? '',
    ) as object;
    const spec = { account: 'mill', cause: 'change', jwk: next };
    await writeFile(at('change.json'), JSON.stringify({ kind: 'account-key', spec }, null, 2));
    await requireRefusal(
      ['sign', at('change.json'), '--private', at('mill.pem'), '--out', at('x.json')],
      /give --origin/,
    );
    const sign = ['sign', at('change.json'), '--origin', origin, '--private', at('mill.pem')];
    const said = await ends(...sign, '--out', at('signed.json'));
    expect(said).toMatch(/signed\.json: account-key for log\.example\/signed-actions, signed by /);
    const signed = parseSignedAction(new Uint8Array(await readFile(at('signed.json'))));
    expect(signed.spec).toMatchObject(spec);
    // Nothing that is there is overwritten, and nobody signs twice.
    await requireRefusal([...sign, '--out', at('signed.json')], /is there already/);
    await requireRefusal(
      ['sign', at('signed.json'), '--private', at('mill.pem'), '--out', at('twice.json')],
      /the same signer twice/,
    );

    const enter = ['certificate', 'enter', at('signed.json'), '--data', data];
    const entered = await ends(...enter);
    expect(entered).toMatch(/^entry \d+: account-key\n$/);
    expect(await ends(...enter)).toBe(entered);
    // Under another key it is another request, of a signature that was used.
    const again = await hourseal(...enter, '--request-key', 'again');
    expect(again).toMatchObject({ code: 3, stdout: '' });
    expect(again.stderr).toMatch(/signed\.json: not entered \((auth|nonce)\)/);
  });

  test('what is altered, expired, foreign or of another log is refused with the reason', async () => {
    const cancel = (members: object): Promise<void> =>
      writeFile(
        at('cancel.json'),
        JSON.stringify({
          kind: 'cancel',
          origin,
          spec: {
            account: 'mill',
            beneficiary: 'mill',
            items: [{ from: 1, series: 'energy/solar', to: 5 }],
            period: { from: 0, to: 1 },
            purpose: 'a test',
            ...members,
          },
        }),
      );
    let turn = 0;
    const handIn = async (key = 'next.pem'): Promise<string> => {
      const out = at(`handed-${++turn}.json`);
      await ends('sign', at('cancel.json'), '--private', at(key), '--out', out);
      const ended = await hourseal('certificate', 'enter', out, '--data', data);
      expect(ended).toMatchObject({ code: 3, stdout: '' });
      return ended.stderr;
    };
    await cancel({ nonce: 'old', notAfter: 1_000_000_000 });
    expect(await handIn()).toMatch(/not entered \(expired\)/);
    await cancel({});
    expect(await handIn('mill.pem')).toMatch(/not entered \(auth\): not signed by key/);
    expect(await handIn()).toMatch(/not entered \(series\): no series energy\/solar/);

    const signed = parseSignedAction(new Uint8Array(await readFile(at(`handed-${turn}.json`))));
    const altered = { ...signed, spec: { ...signed.spec, purpose: 'another' } };
    await writeFile(at('altered.json'), canonicalBytes(altered));
    const ended = await hourseal('certificate', 'enter', at('altered.json'), '--data', data);
    expect(ended.stderr).toMatch(/not entered \(signature\)/);
    await writeFile(at('foreign.json'), canonicalBytes({ ...signed, origin: 'other.example' }));
    await requireRefusal(
      ['certificate', 'enter', at('foreign.json'), '--data', data],
      /meant for other\.example/,
    );
    await requireRefusal(
      ['certificate', 'enter', at('cancel.json'), '--data', data],
      /cancel\.json: /,
    );
  });
});
