import { createHash } from 'node:crypto';
import { chmod, cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import { Refused } from '#core/errors.ts';
import { createKeyFile } from '#platform/keys.ts';
import { runDemo } from '#standalone/demo.ts';
import { runCli, startCli, type Ended } from '#support/cli.ts';
import { copyEmptyDatabase } from '#support/postgres.ts';

/** The real command, as the README shows it. One folder is carried from test to test. */
const minuteMs = 60_000;
let root = '';
let data = '';

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hourseal-demo-'));
  data = join(root, 'data');
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

async function proofFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => name.endsWith('.hourseal.json')).map((name) => join(folder, name));
}

/** Every proof file in `folder`, none of which may have a failing step. */
async function requireSoundProofs(folder: string): Promise<string[]> {
  const files = await proofFiles(folder);
  for (const file of files) {
    const { steps } = verifyProof(await readFile(file));
    expect(
      steps.filter(({ result }) => result === 'fail'),
      file,
    ).toEqual([]);
  }
  return files;
}

/** Ranges of one series never overlap: the names of proof files say which they prove. */
function requireNothingTwice(files: readonly string[]): void {
  const last = new Map<string, number>();
  const ranges = files.map((file) => {
    const [, plant, from, to] = /([^/]+)\/[^/]+\.(\d+)-(\d+)\.hourseal\.json$/.exec(file) ?? [];
    return { plant: plant ?? '', from: Number(from), to: Number(to) };
  });
  for (const { plant, from, to } of ranges.sort((a, b) => a.from - b.from)) {
    expect(from).toBe((last.get(plant) ?? 0) + 1);
    last.set(plant, to);
  }
}

/** The last line that gives figures: what the demo has come to. */
function summaryOf({ stdout }: Ended): { hours: number; entries: number } {
  const found = /([\d ]+) hours sealed, [\d ]+ Wh certified in a log of ([\d ]+) entries/.exec(
    stdout,
  );
  const numberOf = (text = ''): number => Number(text.replaceAll(' ', ''));
  return { hours: numberOf(found?.[1]), entries: numberOf(found?.[2]) };
}

async function requireAudit(folder: string): Promise<void> {
  const policy = ['--policy', join(folder, 'policy')];
  const audit = await runCli(['log', 'audit', '--messages', ...policy, '--data', folder]);
  expect(audit, JSON.stringify(audit)).toMatchObject({ code: 0, stderr: '' });
  expect(audit.stdout).toContain('has the quorum of');
}

/** Nothing in it may change: names, modes and bytes. */
async function fingerprint(folder: string): Promise<string> {
  const hash = createHash('sha256');
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name !== 'lock')
    .map((entry) => join(entry.parentPath, entry.name));
  for (const name of names.sort()) hash.update(name).update(await readFile(name));
  return hash.digest('hex');
}

describe('hourseal demo', () => {
  test(
    'runs three hours and leaves certificates that verify and a log that audits',
    async () => {
      const run = await runCli(['demo', '--hours', '3', '--exit', '--data', data]);
      expect(run).toMatchObject({ code: 0, stderr: '' });
      expect(summaryOf(run).hours).toBe(18);
      const files = await requireSoundProofs(join(data, 'proofs'));
      expect(files.length).toBeGreaterThanOrEqual(3);
      requireNothingTwice(files);
      const verified = await runCli(['verify', ...files, '--policy', join(data, 'policy')]);
      expect(verified, verified.stdout).toMatchObject({ code: 0, stderr: '' });
      expect(verified.stdout).not.toMatch(/[✗?] /);
      // Whoever trusts nobody cannot decide; nothing fails.
      expect((await runCli(['verify', ...files])).code).toBe(4);
      await requireAudit(data);
    },
    2 * minuteMs,
  );

  test('leaves what `hourseal proof` makes proof files of again', async () => {
    const [lost = ''] = await proofFiles(join(data, 'proofs'));
    await rm(lost);
    const run = await runCli(['proof', '--data', data]);
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(verifyProof(await readFile(lost)).result).not.toBe('failed');
  });

  test('makes proof files of which no byte may change', async () => {
    const files = await proofFiles(join(data, 'proofs'));
    const changed = join(root, 'changed.hourseal.json');
    for (const [i, file] of files.entries()) {
      const bytes = await readFile(file);
      const at = Math.floor((bytes.length * (i + 1)) / (files.length + 2));
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      expect(verifyProof(bytes).result, `${file} at ${at}`).toBe('failed');
      await writeFile(changed, bytes);
    }
    expect(await runCli(['verify', changed])).toMatchObject({ code: 1 });
  });

  test(
    'goes on from its folder, issues nothing twice, and lets nobody else in meanwhile',
    async () => {
      const before = await proofFiles(join(data, 'proofs'));
      const running = startCli(['demo', '--hours', '1', '--data', data]);
      await running.said(/hours? done/);
      const second = await runCli(['demo', '--hours', '1', '--exit', '--data', data]);
      expect(second.code).toBe(3);
      expect(second.stderr).toMatch(/^hourseal: .* is in use by process \d+\n$/);
      const reader = await runCli(['plant', 'add', '/dev/null', '--data', data]);
      expect(reader.code).toBe(3);
      running.child.kill('SIGINT');
      const ended = await running.ended;
      expect(ended).toMatchObject({ code: 0, stderr: '' });
      expect(ended.stdout).toContain('Going on');
      expect(summaryOf(ended).hours).toBe(24);
      const files = await requireSoundProofs(join(data, 'proofs'));
      expect(files.length).toBeGreaterThan(before.length);
      requireNothingTwice(files);
    },
    2 * minuteMs,
  );

  test(
    'ends cleanly on Ctrl-C in mid-hour, also of a run without end, and goes on afterwards',
    async () => {
      const running = startCli(['demo', '--data', data, '--pace', '4000']);
      await running.said(/messages, 2[0-9] hours sealed/);
      running.child.kill('SIGINT');
      expect(await running.ended).toMatchObject({ code: 0, stderr: '' });
      const next = await runCli(['demo', '--hours', '1', '--exit', '--data', data]);
      expect(next).toMatchObject({ code: 0, stderr: '' });
      expect(summaryOf(next).hours).toBeGreaterThanOrEqual(30);
      requireNothingTwice(await requireSoundProofs(join(data, 'proofs')));
      await requireAudit(data);
    },
    2 * minuteMs,
  );

  test(
    'shows every fault with its reason, and none of them reaches a certificate',
    async () => {
      const folder = join(root, 'faults');
      const faults = ['--tamper', '--replay', '--fork', '--register-reset'];
      const timed = ['--offline', '2h', '--clock-drift', '5m'];
      const run = await runCli([
        ...['demo', '--hours', '6', '--exit', '--data', folder],
        ...faults,
        ...timed,
      ]);
      expect(run).toMatchObject({ code: 0, stderr: '' });
      expect(run.stdout.match(/^Fault: /gm)?.length).toBe(6);
      const reasons = ['the signature does not fit', 'two messages', 'the future', "meter's topic"];
      reasons.push('hours disputed');
      for (const reason of reasons) {
        expect(run.stdout).toContain(reason);
      }
      const files = await requireSoundProofs(join(folder, 'proofs'));
      expect(files.length).toBeGreaterThanOrEqual(3);
      requireNothingTwice(files);
      await requireAudit(folder);
    },
    3 * minuteMs,
  );
});

describe('a data folder that is not what it should be', () => {
  const nowhere = new Writable({
    write: (_chunk, _encoding, done) => {
      done();
    },
  });
  const options = { hours: 1, exit: true, seed: 1, paceMs: 0, port: 0, faults: {} };

  /** As the command does it, without the second that starting one takes. */
  async function requireRefusal(folder: string, message: RegExp): Promise<void> {
    const before = await fingerprint(folder);
    const run = runDemo({ ...options, folder, databaseUrl: undefined }, nowhere);
    const error: unknown = await run.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(Refused);
    expect((error as Refused).message).toMatch(message);
    expect((error as Refused).message).not.toContain('\n');
    expect(await fingerprint(folder)).toBe(before);
  }

  /** The folder of the tests above without its database, changed by `change`. */
  async function copied(change: (folder: string) => Promise<void>): Promise<string> {
    const folder = await mkdtemp(join(root, 'copy-'));
    const small = ['hourseal.json', 'demo.json', 'demo.log', 'keys', 'proofs', 'witnesses'];
    for (const name of small) {
      await cp(join(data, name), join(folder, name), { recursive: true });
    }
    await change(folder);
    return folder;
  }

  test('with other files is left alone', async () => {
    const folder = await mkdtemp(join(root, 'other-'));
    await writeFile(join(folder, 'notes.txt'), 'mine');
    await requireRefusal(folder, /holds other files/);
    const run = await runCli(['demo', '--hours', '1', '--exit', '--data', folder]);
    expect(run).toMatchObject({ code: 3, stdout: '' });
    expect(run.stderr).toMatch(/^hourseal: [^\n]* holds other files[^\n]*\n$/);
    expect(await readdir(folder)).toEqual(['notes.txt']);
  });

  test.each([
    ['{"format":"hourse', /damaged/],
    ['', /damaged/],
    ['[]', /damaged/],
    ['null', /damaged/],
    ['{"format":"hourseal-data/v1","purpose":"other"}', /damaged/],
    ['{"format":"hourseal-data/v2"}', /another version/],
    ['{"format":"hourseal-data/v1"}', /is an installation/],
  ])('with hourseal.json saying %s is refused', async (text, why) => {
    await requireRefusal(
      await copied((folder) => writeFile(join(folder, 'hourseal.json'), text)),
      why,
    );
  });

  test('with a truncated demo.json is refused', async () => {
    const cut = await copied((folder) => truncate(join(folder, 'demo.json'), 5));
    await requireRefusal(cut, /demo\.json is damaged/);
  });

  test.each(['log', 'ingestion', 'issuing-body', 'accounts/wind-guazhou'])(
    'without the key %s is refused, and no other key is made',
    async (name) => {
      const folder = await copied((of) => rm(join(of, `keys/${name}.pem`)));
      await requireRefusal(folder, new RegExp(`no key .*${name}\\.pem`));
    },
  );

  test('without the key of a witness is refused, and no other key is made', async () => {
    const key = 'witnesses/regulator/key.pem';
    await requireRefusal(await copied((of) => rm(join(of, key))), /no key .*regulator\/key\.pem/);
  });

  test('with a key that is cut short, or that others may read, is refused', async () => {
    const key = 'keys/log.pem';
    await requireRefusal(await copied((folder) => truncate(join(folder, key), 60)), /log\.pem/);
    await requireRefusal(await copied((folder) => chmod(join(folder, key), 0o644)), /chmod 600/);
  });

  test('whose database is lost begins no second log under the same name', async () => {
    const folder = await copied((of) =>
      cp(join(data, 'log'), join(of, 'log'), { recursive: true }),
    );
    await copyEmptyDatabase(join(folder, 'postgres'));
    const checkpoint = await readFile(join(folder, 'log/checkpoint'), 'utf8');
    const run = runDemo({ ...options, folder, databaseUrl: undefined }, nowhere);
    await expect(run).rejects.toMatchObject({ code: 'log-lost' });
    expect(await readFile(join(folder, 'log/checkpoint'), 'utf8')).toBe(checkpoint);
  });

  test.each(['log', 'ingestion'])('with another %s key signs nothing', async (name) => {
    const folder = await mkdtemp(join(root, 'swapped-'));
    await cp(data, folder, { recursive: true });
    await rm(join(folder, `keys/${name}.pem`));
    await createKeyFile(join(folder, `keys/${name}.pem`), 'Ed25519');
    const checkpoint = await readFile(join(folder, 'log/checkpoint'), 'utf8');
    await expect(
      runDemo({ ...options, folder, databaseUrl: undefined }, nowhere),
    ).rejects.toMatchObject({ code: `${name}-key` });
    expect(await readFile(join(folder, 'log/checkpoint'), 'utf8')).toBe(checkpoint);
  });
});
