import { afterEach, expect, test } from 'vitest';
import { refusalCode } from '#core/errors.ts';
import { cosignatureType, vkeyOf } from '#core/tlog/note.ts';
import { createCosigningRig, genesisWith } from '#support/cosigning.ts';
import * as people from '#support/log-people.ts';
import { testSigner } from '#support/register.ts';
import { createTestLedger, removeTestFolders } from '#support/test-ledger.ts';

removeTestFolders();
const { database, clear } = createCosigningRig();
afterEach(clear);

const keys = ['plain', 'regulator', 'association'].map((name) => testSigner(`witness ${name}`));
const [plain, regulator, association] = keys.map(({ kid }) => kid);

/** A witness whose name ends in `/audit` audits; that of the others says nothing of it. */
function policyWith(...names: readonly string[]): string {
  const witnesses = names.map((name, i) => {
    const signer = keys[i];
    if (signer === undefined) throw new Error('a witness without a key');
    return `witness w${i} ${vkeyOf(name, cosignatureType, signer)}`;
  });
  return [`log ${people.logVkey}`, ...witnesses, 'quorum none', ''].join('\n');
}

test('the ledger says who may read what is not public: the auditors of the policy in force', async () => {
  const { ledger, enter } = createTestLedger(await database());
  const auditors = async (): Promise<string[]> => (await ledger.auditors()).map(({ kid }) => kid);
  await expect(auditors().catch(refusalCode)).resolves.toBe('genesis');
  await enter(genesisWith(policyWith('plain.example', 'regulator.example/audit', 'c.example')));
  expect(await auditors()).toEqual([regulator]);
  const policy = policyWith('plain.example', 'regulator.example', 'association.example/audit');
  await enter(people.signed('policy', { policy }));
  expect(await auditors()).toEqual([association]);
  expect(await auditors()).not.toContain(plain);
});

test('nobody may where the log has no policy', async () => {
  const { ledger, enter } = createTestLedger(await database());
  await enter(genesisWith(undefined));
  expect(await ledger.auditors()).toEqual([]);
});
