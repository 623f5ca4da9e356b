import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkPolicy } from '#cli/policy.ts';
import { readPolicy, readPolicyFile } from '#cli/read-file.ts';
import { Refused } from '#core/errors.ts';
import { policyLimitBytes } from '#core/tlog/policy.ts';
import { createTerminal, type Terminal } from '#platform/terminal.ts';
import { testVkey } from '#support/log-builder.ts';
import { auditingWitness, plainWitness, witnessVkey } from '#support/proof-builder.ts';

const policyOf = (quorum: string): string =>
  [
    `log ${testVkey()}`,
    `witness plain ${witnessVkey(plainWitness)}`,
    `witness auditor ${witnessVkey(auditingWitness)}`,
    `quorum ${quorum}`,
    '',
  ].join('\n');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hourseal-policy-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function put(name: string, content: string | Uint8Array): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, content);
  return file;
}

function listen(): { said: () => string; terminal: Terminal } {
  let said = '';
  const terminal = {
    ...createTerminal(process.stdout, process.stderr, {}),
    out: (text: string) => void (said += text),
  };
  return { said: () => said, terminal };
}

describe('a policy file', () => {
  it('is read with the very text that a log would hold', async () => {
    const text = `# whom we trust\n${policyOf('auditor')}`;
    const read = await readPolicyFile(await put('good', text));
    expect(read.text).toBe(text);
    expect(read.policy.witnesses.map(({ name }) => name)).toEqual(['plain', 'auditor']);
  });

  it.each([
    ['that never ends', () => '/dev/zero', `more than the ${policyLimitBytes} bytes`],
    ['that is not there', () => join(folder, 'none'), 'there is no such file'],
    ['that is a directory', () => folder, 'a directory, not a file'],
  ])('%s is refused in one line', async (_name, file, reason) => {
    const { terminal } = listen();
    for (const read of [readPolicy, (path: string) => checkPolicy(path, {}, terminal)]) {
      const error: unknown = await read(file()).then(
        () => undefined,
        (cause: unknown) => cause,
      );
      expect(error).toBeInstanceOf(Refused);
      expect(error).toMatchObject({ code: 'unreadable' });
      expect(String(error)).toContain(`${file()}: ${reason}`);
    }
  });

  it('that is no policy, or no text, is refused by name', async () => {
    const bad = await put('bad', 'quorum\u001b[2J nobody\n');
    await expect(readPolicy(bad)).rejects.toMatchObject({ code: 'policy' });
    await expect(readPolicy(bad)).rejects.toThrow(bad);
    await expect(readPolicy(bad)).rejects.not.toThrow('\u001b');
    const noText = await put('no-text', Uint8Array.of(0xff, 0xfe, 0x0a));
    await expect(readPolicy(noText)).rejects.toMatchObject({ code: 'utf8' });
  });

  it('that can be met without an auditing witness is checked only when that is said', async () => {
    const file = await put('unaudited', policyOf('plain'));
    const { said, terminal } = listen();
    await expect(checkPolicy(file, {}, terminal)).rejects.toThrow(`${file}: its quorum can be met`);
    expect(said()).toBe('');
    expect(await checkPolicy(file, { withoutAuditor: true }, terminal)).toBe(0);
    expect(said()).toContain('2 witnesses, 1 of them auditing');
  });
});
