import { toHex, utf8 } from '../bytes.ts';
import { Refused, within } from '../errors.ts';
import { parseVkey, type VerifierKey } from '../tlog/note.ts';
import { verifyCheckpoint, type VerifiedCheckpoint } from '../tlog/checkpoint.ts';
import { needsAuditor, quorumMet, type Policy } from '../tlog/policy.ts';
import { verifyInclusion } from '../tlog/proof.ts';
import { openEvidence, verifyEnergy, verifyMessages, verifyRoots } from './evidence-of-proof.ts';
import type { Judgement } from './fold.ts';
import type { Item } from './kinds.ts';
import { createLadder, type Finding, type Step } from './ladder.ts';
import { decodePath, parseProof, type Proof } from './proof.ts';
import { piecesWithin } from './series.ts';
import { openEntries, openGenesis, openIssuingHour, tellStory } from './story.ts';
import type { SealedHour, ToldEntry } from './story.ts';
import type { LogState } from './state.ts';

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
  climb('quorum', () => verifyQuorum(checkpoint(), policy));
  const entries = climb('entries', () => verifyEntries(form().entries, checkpoint()));
  const evidence = share(() => openEvidence(form().proof));
  climb('evidence', () => verifyRoots(evidence(), form().issuing, entries()));
  const story = share(() => tellStory(form().proof, entries()));
  climb('signatures', () => {
    requireSound(story().judgements, isRegisterKind);
    return verifyMessages(evidence(), form().issuing, story().state);
  });
  climb('energy', () => verifyEnergy(evidence(), form().issuing, story().state));
  const judgements = share(() => story().finish());
  climb('issue', () => verifyIssue(form(), judgements(), policy));
  climb('life', () => verifyLife(form().proof.bundle, judgements(), story().state));
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
  readonly logKey: VerifierKey;
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
  const logKey = parseVkey(genesis.logKey);
  return {
    value: { proof, entries, issuing, origin: genesis.origin, logKey },
    reason: `${bytes.length} bytes, sum ${proof.sum.slice(0, 16)}…, ${entries.length} entries`,
  };
}

function verifyLogSignature(
  { proof, logKey, origin }: Form,
  policy: Policy | undefined,
): Finding<VerifiedCheckpoint> {
  const named = policy?.logs.find(({ key }) => key.name === origin);
  if (policy !== undefined && named === undefined) {
    throw new Refused('policy', `the policy names no key for the log ${origin}`);
  }
  const log = named?.key ?? logKey;
  if (log.name !== origin)
    throw new Refused('origin', `the key of ${log.name} signs for ${origin}`);
  const cosigners = policy?.witnesses.map(({ key }) => key) ?? [];
  const value = verifyCheckpoint(utf8(proof.checkpoint), { log, cosigners });
  const whose =
    named === undefined
      ? "by genesis's own key, trusted because the log says so"
      : 'by the key of the policy';
  return { value, reason: `${origin} at ${value.size} entries, signed ${whose}` };
}

function verifyQuorum(
  { cosignatures }: VerifiedCheckpoint,
  policy: Policy | undefined,
): Finding<undefined> {
  if (policy === undefined) {
    const reason = 'no policy was given, so nobody but the log itself is known to have seen this';
    return { value: undefined, result: 'unknown', reason };
  }
  const signed = new Set(cosignatures.map(({ name, keyId }) => `${name} ${keyId}`));
  const cosigned = policy.witnesses.filter(({ key }) => signed.has(`${key.name} ${key.keyId}`));
  const names = cosigned.map(({ name }) => name).join(', ') || 'nobody';
  if (!quorumMet(policy, (witness) => cosigned.includes(witness))) {
    throw new Refused('quorum', `cosigned by ${names}: not a quorum of the policy`);
  }
  if (!needsAuditor(policy)) {
    const reason = `cosigned by ${names}, but the policy can be met without an auditing witness`;
    return { value: undefined, result: 'unknown', reason };
  }
  return { value: undefined, reason: `cosigned by ${names}` };
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
    reason: `${entries.length} entries lead to root ${toHex(root).slice(0, 16)}…`,
  };
}

const hourKinds: ReadonlySet<string> = new Set(['hour', 'hour-correction']);
const lifeKinds: ReadonlySet<string> = new Set(['cancel']);
const isRegisterKind = (kind: string): boolean => !hourKinds.has(kind) && !lifeKinds.has(kind);

function requireSound(judgements: readonly Judgement[], concerns: (kind: string) => boolean): void {
  for (const { ref, entry, violation } of judgements) {
    if (violation !== undefined && concerns(entry?.kind ?? '')) {
      const what = `entry ${ref.index}${entry === undefined ? '' : ` (${entry.kind})`}`;
      throw new Refused(violation.code, `${what} is void: ${violation.message}`);
    }
  }
}

function verifyIssue(
  { proof: { bundle, hour }, issuing: { spec } }: Form,
  judgements: readonly Judgement[],
  policy: Policy | undefined,
): Finding<undefined> {
  requireSound(judgements, (kind) => hourKinds.has(kind));
  const { issued } = spec.certificates;
  if (issued === undefined || bundle.from < issued.from || bundle.to > issued.to) {
    throw new Refused('issued', `entry ${hour} did not issue ${bundle.from} to ${bundle.to}`);
  }
  const reason = `entry ${hour} issued ${issued.from} to ${issued.to}${laterDecrease(hour, judgements)}`;
  if (policy === undefined || !needsAuditor(policy)) {
    const why = 'that it was the only one for this hour, an auditing witness of a policy must say';
    return { value: undefined, result: 'unknown', reason: `${reason}; ${why}` };
  }
  return { value: undefined, reason };
}

/** A later version that states less is shown as a note; it takes nothing from whoever holds units. */
function laterDecrease(hour: number, judgements: readonly Judgement[]): string {
  const later = judgements.filter(
    ({ ref, entry }) => ref.index > hour && entry?.kind === 'hour-correction',
  );
  const last = later.at(-1);
  return last === undefined ? '' : ` (note: entry ${last.ref.index} later restated the hour)`;
}

function verifyLife(
  bundle: Item,
  judgements: readonly Judgement[],
  state: LogState,
): Finding<undefined> {
  requireSound(judgements, (kind) => lifeKinds.has(kind));
  const series = state.series.get(bundle.series) ?? { ranges: [] };
  const pieces = piecesWithin(series, bundle);
  const told = pieces
    .map(({ from, to, owner, state: is }) => `${from} to ${to} ${is}, owned by ${owner}`)
    .join('; ');
  const kept = pieces.find(({ owner }) => state.accounts.get(owner)?.spec.custody === 'operator');
  const why =
    kept === undefined
      ? 'without a state proof nobody can say that nothing happened to it since'
      : `the operator keeps the key of ${kept.owner}`;
  return { value: undefined, result: 'unknown', reason: `${told}; ${why}` };
}
