import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { parseNote } from '#core/tlog/note.ts';
import { parseCheckpoint } from '#core/tlog/checkpoint.ts';
import { openDataFolder } from '#standalone/data-folder.ts';
import { runCli, startCli, type RunningCli } from '#support/cli.ts';
import { copyEmptyDatabase } from '#support/postgres.ts';
import { enter, hourseal, install, origin, plant, type Place } from './installation.ts';

/** A log with three witnesses, each a process of its own, by the commands of the README alone. */

/** A dozen commands, each of which starts an engine, beside five processes. */
const testLimitMs = 6 * 60_000;
const folder = mkdtempSync(join(tmpdir(), 'hourseal-consortium-'));
const place: Place = { folder };
const running: RunningCli[] = [];
afterEach(async () => {
  for (const { child } of running) child.kill('SIGKILL');
  await Promise.all(running.splice(0).map(({ ended }) => ended));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const witnesses = [
  { name: 'grid', keyName: 'grid.example' },
  { name: 'buyers', keyName: 'buyers.example' },
  { name: 'regulator', keyName: 'regulator.example/audit' },
] as const;

function start(...args: readonly string[]): RunningCli {
  const started = startCli(args, { cwd: folder });
  running.push(started);
  return started;
}

async function vkeyFrom(...args: readonly string[]): Promise<string> {
  const ended = await hourseal(place, 'key', ...args);
  expect(ended, JSON.stringify(ended)).toMatchObject({ code: 0, stderr: '' });
  return /^vkey {2}(\S+)$/m.exec(ended.stdout)?.[1] ?? '';
}

/** Starts one, once more with the port that it had. Resolves to the URL that it says. */
async function startWitness(
  { name, keyName }: (typeof witnesses)[number],
  port = '0',
): Promise<{ url: string; process: RunningCli }> {
  const audit = keyName.endsWith('/audit') ? ['--audit'] : [];
  const process = start(
    ...['witness', '--folder', `${name}.store`, '--key', `${name}.pem`, '--name', keyName],
    ...['--logs', 'logs', '--listen', `127.0.0.1:${port}`, ...audit],
  );
  const [, url = ''] = await process.said(/"url":"([^"]+)"/);
  return { url, process };
}

async function cosigners(): Promise<readonly string[]> {
  const note = parseNote(await readFile(join(folder, 'data/log/checkpoint')));
  return note.signatures.map(({ name }) => name).sort();
}

async function size(): Promise<number> {
  const note = parseNote(await readFile(join(folder, 'data/log/checkpoint')));
  return parseCheckpoint(note.text).size;
}

test(
  'a log is kept honest by three witnesses, from its first policy to its end',
  async () => {
    const opened = await openDataFolder(join(folder, 'data'), { create: 'installation' });
    await copyEmptyDatabase(opened.database);
    await opened.release();
    await install(place);

    const log = await vkeyFrom('show', 'data/keys/log.pem', '--log', origin);
    const served = start('log', 'serve', '--data', 'data', '--listen', '127.0.0.1:0');
    const [, logUrl = ''] = await served.said(/(http:\/\/\S+)\/checkpoint/);
    await writeFile(join(folder, 'logs'), `log ${log} ${logUrl}\n`);

    const lines = [`log ${log}`];
    const processes = new Map<string, { url: string; process: RunningCli }>();
    for (const witness of witnesses) {
      const { name, keyName } = witness;
      const vkey = await vkeyFrom('new', `${name}.pem`, '--witness', keyName);
      expect((await stat(join(folder, `${name}.pem`))).mode & 0o777).toBe(0o600);
      const started = await startWitness(witness);
      processes.set(name, started);
      lines.push(`witness ${name} ${vkey} ${started.url}`);
    }
    const policy = (...rest: readonly string[]): string => [...lines, ...rest, ''].join('\n');
    await writeFile(join(folder, 'loose'), policy('group any any grid regulator', 'quorum any'));
    await writeFile(
      join(folder, 'policy'),
      policy('group growth any grid buyers', 'group both all growth regulator', 'quorum both'),
    );
    await requirePolicies();

    expect(await enter(place, 'policy', 'set', 'policy')).toContain('share at least one witness');
    expect(await cosigners()).toEqual(
      [origin, ...witnesses.map(({ keyName }) => keyName)].toSorted(),
    );
    await requireAway(processes);
    await requireRotation();
    await requireEnd();
  },
  testLimitMs,
);

async function requirePolicies(): Promise<void> {
  const check = await hourseal(place, 'policy', 'check', 'policy');
  expect(check).toMatchObject({ code: 0, stderr: '' });
  expect(check.stdout).toContain('3 witnesses, 1 of them auditing');
  const loose = await hourseal(place, 'policy', 'set', 'loose', '--data', 'data');
  expect(loose).toMatchObject({ code: 3, stdout: '' });
  expect(loose.stderr).toContain('without an auditing witness');
  expect((await hourseal(place, 'policy', 'check', 'loose', '--without-auditor')).code).toBe(0);
}

/** Entries are made while the auditing witness is away; they are published when it is back. */
async function requireAway(
  processes: ReadonlyMap<string, { url: string; process: RunningCli }>,
): Promise<void> {
  const before = await size();
  const regulator = processes.get('regulator');
  regulator?.process.child.kill('SIGKILL');
  await regulator?.process.ended;
  await writeFile(
    join(folder, 'second.json'),
    (await readFile(new URL('../../devices/examples/meter.json', import.meta.url), 'utf8'))
      .replaceAll('EXAMPLE-1', 'EXAMPLE-2')
      .replace(/"serial": *"/, '"serial": "2-'),
  );
  expect(await enter(place, 'meter', 'add', 'second.json')).toMatch(
    /^entry \d+: meter\nentered, and published as soon as a quorum of witnesses has cosigned it\n$/,
  );
  expect(await size()).toBe(before);
  await startWitness(witnesses[2], new URL(regulator?.url ?? 'http://none').port);
}

async function requireRotation(): Promise<void> {
  const before = await size();
  const said = await enter(place, 'key', 'rotate', 'log', '--overlap', '1d');
  expect(said).toMatch(/log\+2\.pem: the next key\nentry \d+: log-key\n/);
  // The witnesses know the old key alone, which is good for a day: both have signed.
  expect(await size()).toBeGreaterThan(before);
  expect((await cosigners()).filter((name) => name === origin).length).toBe(2);
  await enter(place, 'key', 'rotate', 'account', '--account', plant);
  await enter(place, 'key', 'rotate', 'issuer');
  await enter(place, 'key', 'rotate', 'ingestion');
  const wrong = await hourseal(place, 'key', 'rotate', 'witness', '--data', 'data');
  expect(wrong).toMatchObject({ code: 3, stdout: '' });
  // What is signed by now is signed by the new keys of issuing body and account.
  await enter(place, 'key', 'rotate', 'account', '--account', plant, '--lost');
}

async function requireEnd(): Promise<void> {
  const frozen = await enter(place, 'log', 'freeze', '--reason', 'the trial is over');
  expect(frozen).toContain('log-close');
  expect(frozen).toContain('frozen, and cosigned by everybody');
  expect(new Set(await cosigners())).toEqual(
    new Set([origin, ...witnesses.map(({ keyName }) => keyName)]),
  );
  const again = await enter(place, 'log', 'freeze', '--reason', 'once more');
  expect(again).toContain('closed already');
  const late = await hourseal(place, 'key', 'rotate', 'issuer', '--data', 'data');
  expect(late).toMatchObject({ code: 3 });
  expect(late.stderr).toContain('the log has been closed');

  const exported = await hourseal(place, 'log', 'export', '--data', 'data', '--to', 'archive');
  expect(exported).toMatchObject({ code: 0, stderr: '' });
  const audit = await runCli(
    ['log', 'audit', '--messages', '--policy', 'policy', '--data', 'archive'],
    { cwd: folder },
  );
  expect(audit, JSON.stringify(audit)).toMatchObject({ code: 0, stderr: '' });
  expect(audit.stdout).toContain('the checkpoint has the quorum of policy');
}
