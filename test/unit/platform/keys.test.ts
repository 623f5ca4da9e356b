import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { createKeyFile, readKeyFile } from '#platform/keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'hourseal-keys-'));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test.each(['Ed25519', 'ES256'] as const)(
  'a key of kind %s is created once and read again',
  async (alg) => {
    const path = join(folder, `${alg}.pem`);
    const created = await createKeyFile(path, alg);
    expect(created.alg).toBe(alg);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const pem = readFileSync(path, 'utf8');
    const read = await readKeyFile(path);
    expect(read.kid).toBe(created.kid);
    const signature = read.sign(utf8('hour'));
    expect(parsePublicJwk(created.jwk).verify(utf8('hour'), signature)).toBe(true);
    const again = createKeyFile(path, alg);
    await expect(again).rejects.toMatchObject({ name: 'Refused', code: 'key-exists' });
    expect(readFileSync(path, 'utf8')).toBe(pem);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  },
);

test('two that create the same key at once: one does, the other is refused', async () => {
  const path = join(folder, 'race.pem');
  const ends = await Promise.allSettled([
    createKeyFile(path, 'Ed25519'),
    createKeyFile(path, 'Ed25519'),
  ]);
  const created = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value.kid] : []));
  expect(created).toEqual([(await readKeyFile(path)).kid]);
});

test.each([0o640, 0o604, 0o620, 0o660, 0o644])(
  'a key with mode %i is refused, naming the remedy',
  async (mode) => {
    const path = join(folder, 'open.pem');
    rmSync(path, { force: true });
    await createKeyFile(path, 'Ed25519');
    chmodSync(path, mode);
    const reading = readKeyFile(path);
    await expect(reading).rejects.toMatchObject({ name: 'Refused', code: 'key-readable' });
    await expect(reading).rejects.toThrow(`chmod 600 ${path}`);
  },
);

test('a key that is missing, empty, truncated, of another kind or no file gives one line with its name', async () => {
  const whole = join(folder, 'whole.pem');
  await createKeyFile(whole, 'Ed25519');
  const pem = readFileSync(whole, 'utf8');
  const missing = join(folder, 'missing.pem');
  await expect(readKeyFile(missing)).rejects.toMatchObject({ code: 'key-missing' });
  await expect(readKeyFile(missing)).rejects.toThrow(missing);
  for (const text of ['', pem.slice(0, 60), pem.slice(0, -30), 'x'.repeat(20_000)]) {
    const path = join(folder, 'broken.pem');
    writeFileSync(path, text, { mode: 0o600 });
    const reading = readKeyFile(path);
    await expect(reading).rejects.toMatchObject({ name: 'Refused', code: 'key' });
    await expect(reading).rejects.toThrow(/^[^\n]*broken\.pem[^\n]*$/);
  }
});
