import { toHex, utf8 } from '../../bytes.ts';
import { Refused, within } from '../../errors.ts';
import type { VerifierKey } from '../../tlog/note.ts';
import type { VerifiedCheckpoint } from '../../tlog/checkpoint.ts';
import type { Policy } from '../../tlog/policy.ts';
import { verifyInclusion } from '../../tlog/proof.ts';
import { verifyEnergy } from './energy-of-proof.ts';
import { openEvidence, verifyMessages, verifyRoots } from './evidence-of-proof.ts';
import type { Judgement } from '../fold.ts';
import { specOf } from '../kinds.ts';
import type { Item } from '../specs/parts.ts';
import { verifyLife } from './life-of-proof.ts';
import { createLadder, type Finding, type Step } from './ladder.ts';
import { decodePath, parseProof, type Proof } from './proof.ts';
import { verifyByAnyKey, verifyQuorum } from './quorum-of-proof.ts';
import { openEntries, openGenesis, openIssuingHour, openLogKeys, tellStory } from './story.ts';
import type { SealedHour, ToldEntry } from './story.ts';

export interface Verdict {
  readonly result: 'verified' | 'failed' | 'undecided';
  readonly steps: readonly Step[];
  /** Undefined when the file could not be read as a proof file at all. */
  readonly bundle: Item | undefined;
  readonly hourStart: number | undefined;
}

/**
 * Checks a certificate offline in nine named steps (D3.5), trusting nobody but the verifier's own
 * `policy`. Without a policy the log's key is the one that its genesis names, and what only a policy
 * can decide is `unknown`.
 */
export function verifyProof(bytes: Uint8Array, { policy }: { policy?: Policy } = {}): Verdict {
  const { steps, climb, share } = createLadder();
  const form = climb('form', () => readForm(bytes));
  const checkpoint = climb('checkpoint', () => verifyLogSignature(form(), policy));
  const quorum = climb('quorum', () => verifyQuorum(checkpoint(), policy));
  const entries = climb('entries', () => verifyEntries(form().entries, checkpoint()));
  const evidence = share(() => openEvidence(form().proof));
  climb('evidence', () => {
    entries();
    return verifyRoots(evidence(), form().issuing, { index: form().proof.hour });
  });
  const story = share(() => tellStory(form().proof, entries()));
  climb('signatures', () => {
    requireSound(story().judgements, isRegisterKind);
    return verifyMessages(evidence(), form().issuing, story().state);
  });
  climb('energy', () => {
    const { state } = story();
    return verifyEnergy(evidence(), form().issuing, state);
  });
  const judgements = share(() => story().finish());
  climb('issue', () => verifyIssue(form(), judgements(), quorum));
  climb('life', () => {
    requireSound(judgements(), (kind) => !isHour(kind));
    const { size } = checkpoint();
    const told = { judgements: judgements(), state: story().state, size };
    return verifyLife(form().proof, told, quorum);
  });
  return {
    result: resultOf(steps),
    steps,
    bundle: steps[0]?.result === 'pass' ? form().proof.bundle : undefined,
    hourStart: steps[0]?.result === 'pass' ? form().issuing.spec.interval.start : undefined,
  };
}

function resultOf(steps: readonly Step[]): Verdict['result'] {
  if (steps.some(({ result }) => result === 'fail')) return 'failed';
  return steps.every(({ result }) => result === 'pass') ? 'verified' : 'undecided';
}

interface Form {
  readonly proof: Proof;
  readonly entries: readonly ToldEntry[];
  readonly issuing: SealedHour;
  readonly origin: string;
  /** By genesis and the `log-key` entries of the file: only the log itself vouches for them. */
  readonly logKeys: readonly VerifierKey[];
}

function readForm(bytes: Uint8Array): Finding<Form> {
  const proof = parseProof(bytes);
  const entries = openEntries(proof);
  const genesis = openGenesis(entries);
  const issuing = openIssuingHour(proof, entries);
  const { series, from, to } = proof.bundle;
  if (to < from) throw new Refused('range', 'the bundle is empty');
  if (series !== `energy/${issuing.spec.plant}`) {
    throw new Refused('series', `${series} is not the series of ${issuing.spec.plant}`);
  }
  const logKeys = openLogKeys(genesis.logKey, entries);
  return {
    value: { proof, entries, issuing, origin: genesis.origin, logKeys },
    reason: `${bytes.length} bytes, sum ${proof.sum.slice(0, 16)}…, ${entries.length} entries`,
  };
}

function verifyLogSignature(
  { proof, logKeys, origin }: Form,
  policy: Policy | undefined,
): Finding<VerifiedCheckpoint> {
  const keys = policy === undefined ? logKeys : policy.logs.map(({ key }) => key);
  const logs = keys.filter(({ name }) => name === origin);
  if (logs.length === 0) {
    const who = policy === undefined ? 'its genesis' : 'the policy';
    throw new Refused('policy', `${who} names no key for the log ${origin}`);
  }
  const cosigners = policy?.witnesses.map(({ key }) => key) ?? [];
  const value = verifyByAnyKey(utf8(proof.checkpoint), { logs, cosigners });
  const whose =
    policy === undefined
      ? "by genesis's own key, which only the log itself vouches for"
      : 'by the key that the policy names for it';
  return { value, reason: `${origin} at ${value.size} entries, signed ${whose}` };
}

function verifyEntries(
  entries: readonly ToldEntry[],
  { size, root }: VerifiedCheckpoint,
): Finding<readonly ToldEntry[]> {
  for (const { index, leafHash, path } of entries) {
    within(`entry ${index}`, () => {
      verifyInclusion({ leafHash, index, size, path: decodePath(path), root });
    });
  }
  return {
    value: entries,
    reason: `all ${entries.length} entries of the file are in the tree of ${size}, root ${toHex(root).slice(0, 16)}…`,
  };
}

const hourKinds: ReadonlySet<string> = new Set(['hour', 'hour-correction']);
const lifeKinds: ReadonlySet<string> = new Set([
  ...['accept', 'cancel', 'lock', 'offer', 'refuse', 'settle', 'unlock', 'withdraw'],
]);
const isHour = (kind: string): boolean => hourKinds.has(kind);
const isRegisterKind = (kind: string): boolean => !isHour(kind) && !lifeKinds.has(kind);

function requireSound(judgements: readonly Judgement[], concerns: (kind: string) => boolean): void {
  for (const { ref, entry, violation } of judgements) {
    if (violation !== undefined && concerns(entry?.kind ?? '')) {
      const what = `entry ${ref.index}${entry === undefined ? '' : ` (${entry.kind})`}`;
      throw new Refused(violation.code, `${what} is void: ${violation.message}`);
    }
  }
}

/**
 * A file may leave out what would have forbidden the hour: a meter, a decision, an earlier sealing.
 * Who has only the file cannot see that, so without an auditing witness this is never a pass.
 */
function verifyIssue(
  { proof: { bundle, hour }, issuing: { spec } }: Form,
  judgements: readonly Judgement[],
  quorum: () => { readonly isAudited: boolean },
): Finding<undefined> {
  requireSound(judgements, isHour);
  const { issued } = spec.certificates;
  if (issued === undefined || bundle.from < issued.from || bundle.to > issued.to) {
    const did = issued === undefined ? 'nothing' : `${issued.from} to ${issued.to}`;
    const what = `not ${bundle.from} to ${bundle.to}`;
    throw new Refused('issued', `entry ${hour} issued ${did}, ${what}`);
  }
  const { isAudited } = quorum();
  const later = laterDecrease(hour, spec, judgements);
  const reason = `entry ${hour} issued units ${issued.from} to ${issued.to}${later}`;
  if (isAudited) {
    const by =
      'under rules that an auditing witness replayed; that it was not void, step 9 must say';
    return { value: undefined, reason: `${reason}, ${by}` };
  }
  const why =
    'that nothing is left out which forbids it, only an auditing witness of your policy can say';
  return { value: undefined, result: 'unknown', reason: `${reason}; ${why}` };
}

/** A later version that states less is shown as a note; it takes nothing from whoever holds units. */
function laterDecrease(
  hour: number,
  { plant, interval, generation }: SealedHour['spec'],
  judgements: readonly Judgement[],
): string {
  const last = judgements.findLast(
    ({ ref, entry }) => ref.index > hour && entry?.kind === 'hour-correction',
  );
  if (last?.entry === undefined) return '';
  const later = specOf['hour-correction'].parse(last.entry.spec, 'spec');
  const isSame = later.plant === plant && later.interval.start === interval.start;
  if (!isSame || 'commitment' in later || later.generation >= generation) return '';
  return ` (note: entry ${last.ref.index} later lowered the hour from ${generation} to ${later.generation} Wh)`;
}
