import { Refused } from '../../errors.ts';
import { verifyCheckpoint, type VerifiedCheckpoint } from '../../tlog/checkpoint.ts';
import type { VerifierKey } from '../../tlog/note.ts';
import { needsAuditor, quorumMet, type Policy } from '../../tlog/policy.ts';
import type { Finding } from './ladder.ts';

export interface Quorum {
  /** Whether somebody whom the verifier trusts has replayed every rule (D3.4). */
  readonly isAudited: boolean;
  /** When enough witnesses had cosigned, by their own clocks. Unix seconds; 0 without a policy. */
  readonly timeS: number;
}

/** A policy may name several keys of one log, as while it changes them: any of them will do. */
export function verifyByAnyKey(
  note: Uint8Array,
  { logs, cosigners }: { logs: readonly VerifierKey[]; cosigners: readonly VerifierKey[] },
): VerifiedCheckpoint {
  let unsigned: Refused | undefined;
  const verified: VerifiedCheckpoint[] = [];
  for (const log of logs) {
    try {
      verified.push(verifyCheckpoint(note, { log, cosigners }));
    } catch (error) {
      // Of a key that did sign, a bad signature is never made good by another one.
      if (!(error instanceof Refused) || error.code !== 'checkpoint-unsigned') throw error;
      unsigned = error;
    }
  }
  const [first] = verified;
  if (first === undefined) throw unsigned ?? new Refused('policy', 'no key is named for that log');
  return first;
}

/** Step 3: the checkpoint has the quorum of the verifier's own policy. */
export function verifyQuorum(
  { cosignatures }: VerifiedCheckpoint,
  policy: Policy | undefined,
): Finding<Quorum> {
  if (policy === undefined) {
    const reason = 'no policy was given, so nobody but the log itself is known to have seen this';
    return { value: { isAudited: false, timeS: 0 }, result: 'unknown', reason };
  }
  const times = new Map(cosignatures.map(({ name, keyId, time }) => [`${name} ${keyId}`, time]));
  const timeOf = ({ key: { name, keyId } }: Policy['witnesses'][number]): number =>
    times.get(`${name} ${keyId}`) ?? Infinity;
  const cosigned = policy.witnesses.filter((witness) => timeOf(witness) < Infinity);
  const names = cosigned.map(({ name }) => name).join(', ') || 'nobody';
  if (!quorumMet(policy, (witness) => cosigned.includes(witness))) {
    throw new Refused('quorum', `cosigned by ${names}: not a quorum of the policy`);
  }
  const timeS = [...times.values()]
    .sort((a, b) => a - b)
    .find((time) => quorumMet(policy, (witness) => timeOf(witness) <= time));
  if (timeS === undefined || !needsAuditor(policy)) {
    const reason = `cosigned by ${names}, but the policy can be met without an auditing witness`;
    return { value: { isAudited: false, timeS: timeS ?? 0 }, result: 'unknown', reason };
  }
  const reason = `cosigned by ${names}: a quorum of the policy`;
  return { value: { isAudited: true, timeS }, reason };
}
