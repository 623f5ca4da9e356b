import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyFiles, type VerifyOptions } from '#cli/verify.ts';
import { proofLimitBytes } from '#core/certificate/proof/proof.ts';
import type { Verdict } from '#core/certificate/proof/verify.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { policyLimitBytes } from '#core/tlog/policy.ts';
import { createTerminal, styleOf, type Terminal } from '#platform/terminal.ts';
import { utf8 } from '#core/bytes.ts';
import { exampleOnPage } from '#support/formats-page.ts';
import { testVkey } from '#support/log-builder.ts';
import {
  auditingWitness,
  changeProof,
  honestProof,
  openProof,
  plainWitness,
  sealProof,
  witnessVkey,
} from '#support/proof-builder.ts';

const proof = honestProof({ cosigners: [plainWitness, auditingWitness] });
const policy = [
  `log ${testVkey()}`,
  `witness plain ${witnessVkey(plainWitness)}`,
  `witness auditor ${witnessVkey(auditingWitness)}`,
  'group both all plain auditor',
  'quorum both',
  '',
].join('\n');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hourseal-verify-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function put(name: string, content: string | Uint8Array): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, content);
  return file;
}

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function run(files: readonly string[], options: VerifyOptions = {}): Promise<Run> {
  const said = { out: '', err: '' };
  const terminal: Terminal = {
    ...createTerminal(process.stdout, process.stderr, {}),
    out: (text) => (said.out += text),
    err: (text) => (said.err += text),
    style: styleOf({}, {}),
  };
  const code = await verifyFiles(files, options, terminal);
  return { code, ...said };
}

const spoilt = changeProof(proof, ({ bundle }) => (bundle.to += 1));

describe('hourseal verify', () => {
  it('ends with 4 and names every step while something cannot be decided', async () => {
    const { code, out, err } = await run([await put('good.hourseal.json', proof)]);
    expect([code, err]).toEqual([4, '']);
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toBe('good.hourseal.json energy/solar 541 to 1080');
    expect(lines.slice(1, 10).map((line) => line.slice(2, 14).trim())).toEqual([
      '1 ✓ pass',
      '2 ✓ pass',
      '3 ? unknown',
      '4 ✓ pass',
      '5 ✓ pass',
      '6 ✓ pass',
      '7 ✓ pass',
      '8 ? unknown',
      '9 ? unknown',
    ]);
    expect(lines[10]).toBe('  nothing failed, but not everything can be decided');
  });

  it('judges by the policy that it is given', async () => {
    const file = await put('good.hourseal.json', proof);
    const { code, out } = await run([file], { policy: await put('policy', policy) });
    expect(code).toBe(4);
    expect(out).toContain('3 ✓ pass');
    expect(out).toContain('8 ✓ pass');
    const stranger = policy.replace(testVkey(), testVkey(testVkey().split('+')[0], 'stranger'));
    const failed = await run([file], { policy: await put('stranger', stranger) });
    expect(failed.code).toBe(1);
    expect(failed.out).toContain('2 ✗ fail');
  });

  it('ends with 1 when a step fails, and says which', async () => {
    const { code, out } = await run([await put('spoilt.json', spoilt)]);
    expect(code).toBe(1);
    expect(out).toMatch(/ {2}8 ✗ fail .*issued 541 to 1080, not 541 to 1081\n/);
    expect(out).toContain('failed: do not rely on this certificate');
  });

  it.each([
    ['that is empty', new Uint8Array(), 'not JSON'],
    ['that is no JSON', 'PK', 'not JSON'],
    ['that is cut off', proof.subarray(0, 5000), 'not JSON'],
    [
      'with a byte changed',
      Uint8Array.from(proof, (byte, i) => (i === 999 ? 65 : byte)),
      'the sum',
    ],
    ['of a later version', '{"format":"hourseal-proof/v2"}', 'another version: hourseal-proof/v2'],
    ['of something else', '{"format":"text"}', 'not a proof file'],
    ['that is nested deeply', '['.repeat(200_000) + ']'.repeat(200_000), 'not a proof file'],
    ['of a huge array', `[${'1,'.repeat(200_000)}1]`, 'not a proof file'],
  ])('ends with 1 and one reason for a file %s', async (_name, content, reason) => {
    const { code, out, err } = await run([await put('file', content)]);
    expect([code, err]).toEqual([1, '']);
    const [, step, summary, ...more] = out.trimEnd().split('\n');
    expect(step).toContain('1 ✗ fail');
    expect(step).toContain(reason);
    expect(summary).toContain('failed');
    expect(more).toEqual([]);
  });

  it('ends with 3 and one line for what cannot be read', async () => {
    const large = await put('large', '');
    await truncate(large, proofLimitBytes + 1);
    for (const [file, reason] of [
      [join(folder, 'nothing'), 'there is no such file'],
      [folder, 'a directory, not a file'],
      [large, `more than the ${proofLimitBytes} bytes that are read`],
      ['/dev/zero', `more than the ${proofLimitBytes} bytes that are read`],
    ] as const) {
      expect(await run([file])).toEqual({
        code: 3,
        out: '',
        err: `hourseal: ${file}: ${reason}\n`,
      });
    }
  });

  it('reads a file of exactly 16 MiB', async () => {
    const file = await put('full', '');
    await truncate(file, proofLimitBytes);
    expect((await run([file])).code).toBe(1);
  });

  it('checks every file, whatever is wrong with another, and ends with the worst', async () => {
    const good = await put('good', proof);
    const bad = await put('bad', spoilt);
    const gone = join(folder, 'gone');
    expect((await run([bad, good])).code).toBe(1);
    expect((await run([gone, good])).code).toBe(3);
    const all = await run([gone, bad, good]);
    expect(all.code).toBe(1);
    expect(all.out).toContain('bad energy/solar');
    expect(all.out).toContain('good energy/solar');
    expect(all.err).toContain('gone: there is no such file');
  });

  it('writes one JSON line for each file, also for one that cannot be read', async () => {
    const good = await put('good', proof);
    const gone = join(folder, 'gone');
    const { code, out, err } = await run([good, gone], { json: true });
    expect([code, err]).toEqual([3, '']);
    const [first, second, ...more] = out.split('\n');
    const verdict = JSON.parse(first ?? '') as Verdict & { file: string };
    expect(verdict.file).toBe(good);
    expect(verdict.result).toBe('undecided');
    expect(verdict.steps).toHaveLength(9);
    expect(verdict.bundle).toEqual({ series: 'energy/solar', from: 541, to: 1080 });
    expect(JSON.parse(second ?? '')).toMatchObject({ file: gone, result: 'unreadable' });
    expect(more).toEqual(['']);
  });

  it('lets no file write on the terminal what it likes', async () => {
    const bell = '\u001b[2J\u001b[32mverified: every step passed\n\u202e\u0007';
    const named = canonicalBytes({ ...openProof(proof), [bell]: 1 });
    const versioned = canonicalBytes({ format: `hourseal-proof/v${bell}` });
    const long = sealProof({ ...openProof(proof), ['x'.repeat(100_000)]: 1 });
    for (const content of [named, versioned, long]) {
      const { code, out } = await run([await put('hostile', content)]);
      expect(code).toBe(1);
      for (const character of ['\u001b', '\u0007', '\u202e']) expect(out).not.toContain(character);
      expect(out.split('\n')).toHaveLength(4);
      expect(out.length).toBeLessThan(600);
    }
  });
});

describe('hourseal verify of evidence', () => {
  const evidence = utf8(exampleOnPage('evidence-equivocation'));
  const knowing = `log ${testVkey()}\nquorum none\n`;

  it('ends with 0 where it is proved against somebody whom the policy names, and says it loudly', async () => {
    const file = await put('two.hourseal-evidence.json', evidence);
    const { code, out, err } = await run([file], { policy: await put('policy', knowing) });
    expect([code, err]).toEqual([0, '']);
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toBe('two.hourseal-evidence.json evidence: equivocation');
    expect(lines.slice(1, 6).every((line) => line.includes('✓ pass'))).toBe(true);
    expect(lines[6]).toMatch(/^ {2}PROVED: .* signed two histories: 3 entries/);
    expect(lines).toHaveLength(7);
  });

  it('ends with 4 without a policy, with 1 for what proves nothing', async () => {
    const file = await put('two', evidence);
    expect((await run([file])).code).toBe(4);
    const cut = await run([await put('cut', evidence.subarray(0, -1))]);
    expect(cut.code).toBe(1);
    expect(cut.out).toContain('this file proves nothing against anybody');
    const stranger = knowing.replace(testVkey(), testVkey('log.example/another', 'stranger'));
    const strange = await run([file], { policy: await put('stranger', stranger) });
    expect(strange.code).toBe(1);
    expect(strange.out).not.toContain('PROVED');
  });

  it('writes a JSON line, among those of proof files', async () => {
    const files = [await put('two', evidence), await put('good', proof)];
    const { code, out } = await run(files, { json: true, policy: await put('policy', knowing) });
    expect(code).toBe(4);
    const [first, second] = out.split('\n');
    expect(JSON.parse(first ?? '')).toMatchObject({ kind: 'equivocation', result: 'proved' });
    expect(JSON.parse(second ?? '')).toMatchObject({ result: 'undecided' });
  });
});

describe('a policy that is none', () => {
  it.each([
    ['missing', undefined, 'there is no such file'],
    ['empty', '', 'there is no quorum line'],
    ['cut off', policy.slice(0, 300), 'the last line does not end'],
    ['not UTF-8', Uint8Array.of(0x23, 0xe4, 0x0a), 'not valid UTF-8'],
    ['another file', proof, 'the last line does not end'],
    ['too large', `#${'x'.repeat(policyLimitBytes)}\n`, `more than the ${policyLimitBytes} bytes`],
  ])('is refused with one line that names it: %s', async (_name, content, reason) => {
    const file = content === undefined ? join(folder, 'none') : await put('policy', content);
    const good = await put('good', proof);
    const refused = expect(run([good], { policy: file })).rejects;
    await refused.toMatchObject({ name: 'Refused' });
    await expect(run([good], { policy: file })).rejects.toThrow(`${file}: ${reason}`);
  });
});
