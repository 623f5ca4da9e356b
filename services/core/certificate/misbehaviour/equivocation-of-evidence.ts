import { fromBase64, toHex, utf8 } from '../../bytes.ts';
import { Refused } from '../../errors.ts';
import type { Checkpoint } from '../../tlog/checkpoint.ts';
import { checkpointBy, verifyContradiction, type Boundary } from '../../tlog/equivocation.ts';
import { cosignatureType, formatVkey, parseVkey, type VerifierKey } from '../../tlog/note.ts';
import type { Policy } from '../../tlog/policy.ts';
import { verdictOf, type EvidenceContext, type EvidenceVerdict } from './evidence-verdict.ts';
import { ladderOf, type Finding } from '../proof/ladder.ts';
import type { EquivocationEvidence } from './misbehaviour.ts';

const steps = ['form', 'first', 'second', 'contradiction', 'accused'] as const;

/** Two checkpoints of one log, signed or cosigned by one party, that cannot both be true. */
export function verifyEquivocation(
  evidence: EquivocationEvidence,
  context: EvidenceContext,
): EvidenceVerdict {
  const { climb, share, ...ladder } = ladderOf(steps);
  climb('form', () => context.read);
  const keys = share(() => keysOf(evidence));
  const first = climb('first', () => signedBy(keys()[0], evidence.first));
  const second = climb('second', () => signedBy(keys()[1], evidence.second));
  const contradiction = climb('contradiction', () => {
    const trees = { first: first(), second: second() };
    const inner = verifyContradiction({ ...trees, boundary: boundaryOf(evidence) });
    return { value: inner, reason: describeTrees(trees, inner) };
  });
  climb('accused', () => accuse(keys(), { origin: first().origin, policy: context.policy }));
  return verdictOf('equivocation', ladder.steps, () => {
    const [key] = keys();
    const { origin } = first();
    const who =
      key.type === cosignatureType ? `the witness ${key.name} cosigned` : `${origin} signed`;
    const whose = key.type === cosignatureType ? ` of ${origin}` : '';
    const what = describeTrees({ first: first(), second: second() }, contradiction());
    return `${who} two histories${whose}: ${what}`;
  });
}

function keysOf({ keys: texts }: EquivocationEvidence): readonly [VerifierKey, VerifierKey] {
  const keys = texts.map(parseVkey);
  const [first, second = first] = keys;
  if (first === undefined || second === undefined) throw new Refused('form', 'keys: none');
  if (keys.length === 2) {
    const isRotated = first.name === second.name && first.keyId !== second.keyId;
    if (!isRotated || keys.some(({ type }) => type === cosignatureType)) {
      throw new Refused('keys', 'two keys that are not an older and a newer one of one log');
    }
  }
  return [first, second];
}

function signedBy(key: VerifierKey, note: string): Finding<Checkpoint> {
  const value = checkpointBy(key, utf8(note));
  const did = key.type === cosignatureType ? 'cosigned' : 'signed';
  return {
    value,
    reason: `${value.origin} at ${value.size} entries, root ${short(value.root)}, ${did} by ${nameOf(key)}`,
  };
}

function boundaryOf({ above, below }: EquivocationEvidence): Boundary | undefined {
  if (above === undefined || below === undefined) return undefined;
  return { above: above.map(fromBase64), below: below.map(fromBase64) };
}

function describeTrees(
  { first, second }: { first: Checkpoint; second: Checkpoint },
  inner: Uint8Array,
): string {
  const one = `${first.size} entries with the root ${short(first.root)}`;
  return first.size === second.size
    ? `${one}, and as many with the root ${short(inner)}`
    : `${one}, and ${second.size} entries whose first ${first.size} have the root ${short(inner)}`;
}

function short(hash: Uint8Array): string {
  return `${toHex(hash).slice(0, 16)}…`;
}

function nameOf({ name, keyId }: VerifierKey): string {
  return `${name} (key ${keyId})`;
}

/** Whether the keys are those of somebody whom the verifier knows. */
function accuse(
  keys: readonly VerifierKey[],
  { origin, policy }: { readonly origin: string; readonly policy: Policy | undefined },
): Finding<undefined> {
  const names = [...new Set(keys.map(nameOf))].join(' and ');
  if (policy === undefined) {
    const reason = `proved against ${names}; whose key that is, only a policy of yours can say`;
    return { value: undefined, result: 'unknown', reason };
  }
  const known = new Set([...policy.logs, ...policy.witnesses].map(({ key }) => formatVkey(key)));
  const strange = keys.find((key) => !known.has(formatVkey(key)));
  if (strange !== undefined) {
    throw new Refused(
      'policy',
      `the policy names no key ${nameOf(strange)}: it accuses nobody you trust`,
    );
  }
  return { value: undefined, reason: `${names}, whom the policy names, for the log ${origin}` };
}
