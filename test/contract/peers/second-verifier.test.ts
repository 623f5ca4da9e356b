import { readFileSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { toBase64, utf8 } from '#core/bytes.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import { describeWith } from '#support/needs.ts';
import { quickEngine, startTestPostgres } from '#support/postgres.ts';
import { openProof, sealProof } from '#support/proof-builder.ts';
import { mutated } from '#support/second-verifier/mutations.ts';
import { buildSecondVerifier, goAlone } from '#support/second-verifier/program.ts';
import type { Question, SecondVerifier, TheirStep } from '#support/second-verifier/program.ts';
import * as proofs from '#support/second-verifier/proofs.ts';
import { roleProofs } from '#support/second-verifier/roles.ts';
import { removeTestFolders, scratchFolder } from '#support/test-ledger.ts';
import { runWorkedDay } from '#support/worked-day.ts';
import { randomFrom } from '../../faults/seed.ts';

/**
 * A verifier that was written from FORMATS.md alone, in another language, and that reads its grammars
 * out of that page: what the page does not say, or says otherwise than our code, is a difference here.
 */

/** What the other one does not do; it says so in a step that needs it, and that step is not compared. */
const notDoneThere: ReadonlySet<string> = new Set([
  'not done here: records in OCMF',
  'not done here: NFC of text beyond U+02FF',
]);

const limitMs = 300_000;
const seed = Number(process.env.HOURSEAL_FUZZ_SEED ?? 20_260_101);
const runs = Number(process.env.HOURSEAL_FUZZ_RUNS ?? 300);

const example: Question = {
  name: 'the example of the page',
  file: Uint8Array.from(
    readFileSync(new URL('../../vectors/proof-example.hourseal.json', import.meta.url)),
  ),
};

function ourSteps({ file, policy }: Question): ReturnType<typeof verifyProof>['steps'] {
  const options = policy === undefined ? {} : { policy: parsePolicy(policy) };
  return verifyProof(file, options).steps;
}

function isNotDone(step: TheirStep | undefined): boolean {
  return step?.result === 'unknown' && notDoneThere.has(step.reason);
}

/** Each step of which one says something else than the other, but for what is not done there. */
function differences(questions: readonly Question[], answers: readonly TheirStep[][]): string[] {
  expect(answers).toHaveLength(questions.length);
  return questions.flatMap((question, i) => {
    const theirs = answers[i] ?? [];
    expect(theirs).toHaveLength(9);
    return ourSteps(question).flatMap(({ name, result, reason }, at) => {
      const step = theirs[at];
      if (step?.result === result || isNotDone(step)) return [];
      const said = `we ${result} (${reason}), they ${step?.result ?? ''} (${step?.reason ?? ''})`;
      return [`${question.name}: ${name}: ${said}`];
    });
  });
}

/** The results that we find: to agree on nothing but passes would prove little. */
function resultsOf(questions: readonly Question[]): Set<string> {
  return new Set(
    questions.flatMap((question) =>
      ourSteps(question).map(({ name, result }) => `${name} ${result}`),
    ),
  );
}

describeWith([goAlone], 'a second verifier of proof files', () => {
  let second: SecondVerifier;
  let buildFolder = '';
  let day: readonly Question[] = [];
  let built: readonly Question[] = [];

  removeTestFolders();
  beforeAll(async () => {
    const made = buildSecondVerifier(goAlone);
    buildFolder = made.folder;
    second = made.verifier;
    built = [
      ...proofs.livedProofs(),
      ...proofs.voidProofs(),
      ...proofs.endedProofs(),
      ...roleProofs(),
    ];
    const database = await startTestPostgres(quickEngine);
    try {
      const worked = await runWorkedDay(database.pool, scratchFolder());
      day = await proofs.workedDayProofs(worked, database.pool);
    } finally {
      await database.stop();
    }
  }, limitMs);
  afterAll(() => {
    if (buildFolder !== '') rmSync(buildFolder, { recursive: true, force: true });
  });

  it('says of the example of the page what we say', () => {
    const asked = [example, ...proofs.underEach(example.name, example.file)];
    expect(differences(asked, second.verify(asked))).toEqual([]);
  });

  it('says of every bundle of the worked day what we say', () => {
    expect(day.length).toBeGreaterThan(40);
    expect(differences(day, second.verify(day))).toEqual([]);
  });

  it('says what we say of lives, hidden voids, meters that ended, and every role', () => {
    expect(differences(built, second.verify(built))).toEqual([]);
    const fails = ['quorum fail', 'signatures fail', 'energy fail', 'issue fail', 'life fail'];
    const others = ['quorum pass', 'energy pass', 'issue pass', 'life pass', 'life unknown'];
    expect([...resultsOf(built)]).toEqual(expect.arrayContaining([...fails, ...others]));
  });

  it(`says what we say of files with something changed and a right sum (seed ${seed})`, () => {
    const random = randomFrom(seed);
    const draw = (limit: number): number => Math.floor(random() * limit);
    const originals = [example, ...day, ...built];
    const changed = Array.from({ length: runs }, (_, i) => {
      const original = originals[draw(originals.length)] ?? example;
      const file = mutated(original.file, draw);
      return { ...original, name: `${original.name}, change ${i}`, file };
    });
    expect(differences(changed, second.verify(changed))).toEqual([]);
  });

  it('leaves out records in OCMF in steps 5 to 7, and says so', () => {
    const proof = openProof(example.file);
    const messages = proof.messages.map(({ jws, ...rest }) => ({
      ...rest,
      ocmf: toBase64(utf8(jws)),
    }));
    const asked = [{ name: 'OCMF', file: sealProof({ ...proof, messages }) }];
    const [steps = []] = second.verify(asked);
    const reason = 'not done here: records in OCMF';
    expect(steps.slice(4, 7)).toEqual(steps.slice(4, 7).map(() => ({ result: 'unknown', reason })));
    expect(differences(asked, [steps])).toEqual([]);
  });

  it('leaves out text that may need normalization, and no other', () => {
    const written = ['\u00fc', '\u02ff'].map(proofs.proofWithText).flatMap((file, i) => {
      return proofs.underEach(`text ${i}`, file);
    });
    const answers = second.verify(written);
    expect(differences(written, answers)).toEqual([]);
    expect(answers.flat().filter(isNotDone)).toEqual([]);
    const [steps = []] = second.verify([{ name: 'beyond', file: proofs.proofWithText('\u0416') }]);
    const reason = 'not done here: NFC of text beyond U+02FF';
    expect(steps).toEqual(steps.map(() => ({ result: 'unknown', reason })));
  });
});
