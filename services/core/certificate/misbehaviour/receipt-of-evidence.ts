import { equalBytes, fromBase64, fromHex, utf8 } from '../../bytes.ts';
import { parseMeterRecord, type KeyState } from '../../energy/meter-record.ts';
import { extendChain, openReceipt, type Receipt } from '../../energy/receipt.ts';
import { Refused, within } from '../../errors.ts';
import { parseCompactJws } from '../../jws.ts';
import type { Checkpoint } from '../../tlog/checkpoint.ts';
import { openSignedState } from '../../tlog/equivocation.ts';
import { parseVkey } from '../../tlog/note.ts';
import type { Policy } from '../../tlog/policy.ts';
import { verifyInclusion } from '../../tlog/proof.ts';
import { leafHash } from '../../tlog/tree.ts';
import { parseEntry } from '../entry.ts';
import { verdictOf, type EvidenceContext, type EvidenceVerdict } from './evidence-verdict.ts';
import { advance } from '../fold.ts';
import { specOf, type SpecOf } from '../kinds.ts';
import { ladderOf, type Finding } from '../proof/ladder.ts';
import type { DishonouredEvidence } from './misbehaviour.ts';
import { decodePath } from '../proof/proof.ts';
import { emptyState, type Genesis } from '../state/state.ts';

const steps = [
  'form',
  'checkpoint',
  'entries',
  'receipt',
  'record',
  'contradiction',
  'accused',
] as const;

/** A receipt, and a meter record of the log, that state different messages of one key (D3.1). */
export function verifyDishonoured(
  evidence: DishonouredEvidence,
  context: EvidenceContext,
): EvidenceVerdict {
  const { policy } = context;
  const { climb, share, ...ladder } = ladderOf(steps);
  climb('form', () => context.read);
  const told = share(() => evidence.entries.map(openEntry));
  const genesis = share(() => genesisOf(told()));
  const checkpoint = climb('checkpoint', () =>
    logCheckpoint(utf8(evidence.checkpoint), { genesis: genesis(), policy }),
  );
  climb('entries', () => included(told(), checkpoint()));
  const receipt = climb('receipt', () =>
    openByIngestion(utf8(evidence.receipt), foldKeys(told(), evidence.hour)),
  );
  const record = climb('record', () => recordIn(evidence, { told: told(), kid: receipt().kid }));
  const contradiction = climb('contradiction', () =>
    contradictory(evidence, { receipt: receipt(), record: record() }),
  );
  climb('accused', () =>
    policy === undefined
      ? {
          value: undefined,
          result: 'unknown',
          reason: "signed by genesis's own key; whose log that is, only a policy of yours can say",
        }
      : { value: undefined, reason: `${genesis().origin}, a log that the policy names` },
  );
  return verdictOf(
    'dishonoured-receipt',
    ladder.steps,
    () => `${genesis().origin} did not honour a receipt: ${contradiction()}`,
  );
}

interface Told {
  readonly index: number;
  readonly data: Uint8Array;
  readonly path: readonly string[];
}

function openEntry({ index, data, path }: DishonouredEvidence['entries'][number]): Told {
  return { index, data: fromBase64(data), path };
}

function genesisOf([first]: readonly Told[]): SpecOf<'genesis'> {
  if (first?.index !== 0) throw new Refused('genesis', 'the genesis of the log is missing');
  const { kind, spec } = parseEntry(first.data);
  if (kind !== 'genesis') throw new Refused('genesis', 'entry 0 is not a genesis');
  return specOf.genesis.parse(spec, 'spec');
}

function logCheckpoint(
  note: Uint8Array,
  { genesis, policy }: { genesis: SpecOf<'genesis'>; policy: Policy | undefined },
): Finding<Checkpoint> {
  const keys =
    policy === undefined ? [parseVkey(genesis.logKey)] : policy.logs.map(({ key }) => key);
  const logs = keys.filter(({ name }) => name === genesis.origin);
  if (logs.length === 0) {
    const who = policy === undefined ? 'its genesis' : 'the policy';
    throw new Refused('policy', `${who} names no key for the log ${genesis.origin}`);
  }
  const value = openSignedState(note, { logs, witnesses: [] });
  return { value, reason: `${value.origin} at ${value.size} entries, signed by the log` };
}

function included(told: readonly Told[], { size, root }: Checkpoint): Finding<undefined> {
  for (const { index, data, path } of told) {
    within(`entry ${index}`, () => {
      verifyInclusion({ leafHash: leafHash(data), index, size, path: decodePath(path), root });
    });
  }
  return { value: undefined, reason: `all ${told.length} entries of the file are in the log` };
}

/** What must be folded to know who may sign receipts; it tells nothing else. */
const keyKinds: ReadonlySet<string> = new Set(['genesis', 'rules', 'issuer-key', 'ingestion-key']);

function foldKeys(told: readonly Told[], hour: number): Genesis {
  const state = emptyState({ partial: true });
  for (const { index, data } of told.filter((one) => one.index !== hour)) {
    const { kind } = parseEntry(data);
    if (!keyKinds.has(kind))
      throw new Refused('form', `entry ${index}: a ${kind} is of no use here`);
    const { violation } = advance(state, data, { index });
    if (violation !== undefined) {
      throw new Refused(violation.code, `entry ${index} is void: ${violation.message}`);
    }
  }
  if (state.genesis === undefined)
    throw new Refused('genesis', 'the genesis of the log is missing');
  return state.genesis;
}

function openByIngestion(bytes: Uint8Array, { ingestionKeys }: Genesis): Finding<Receipt> {
  const { kid } = parseCompactJws(bytes, 'hourseal-receipt').header;
  const held = ingestionKeys.find(({ key }) => key.kid === kid);
  if (held === undefined)
    throw new Refused('key', 'not signed by an ingestion key that the log names');
  const value = openReceipt(bytes, held.key);
  return {
    value,
    reason: `messages 1 to ${value.throughSeq} of ${value.kid} with the chain ${value.chain.slice(0, 16)}…`,
  };
}

function recordIn(
  { hour, record, records }: DishonouredEvidence,
  { told, kid }: { readonly told: readonly Told[]; readonly kid: string },
): Finding<KeyState> {
  const entry = told.find(({ index }) => index === hour);
  if (entry === undefined) throw new Refused('hour', `entry ${hour} is missing`);
  const { kind, spec } = parseEntry(entry.data);
  if (kind !== 'hour' && kind !== 'hour-correction') {
    throw new Refused('hour', `entry ${hour} is no hour`);
  }
  const { metersRoot } = specOf[kind].parse(spec, 'spec');
  const data = fromBase64(record.data);
  verifyInclusion({
    leafHash: leafHash(data),
    index: record.index,
    size: records,
    path: decodePath(record.path),
    root: fromHex(metersRoot),
  });
  const { keys, meter } = parseMeterRecord(data);
  const value = keys.find((key) => key.kid === kid);
  if (value === undefined)
    throw new Refused('key', `the record of ${meter} says nothing of ${kid}`);
  return {
    value,
    reason: `entry ${hour} states messages 1 to ${value.throughSeq} with the chain ${value.chain.slice(0, 16)}…`,
  };
}

interface Statements {
  readonly receipt: Pick<Receipt, 'throughSeq' | 'chain'>;
  readonly record: Pick<KeyState, 'throughSeq' | 'chain'>;
}

/**
 * Every step of a chain hashes the one before, so what a statement says at a lower `seq` has but one
 * answer, whoever opens it.
 */
function contradictory(
  { opened }: DishonouredEvidence,
  { receipt, record }: Statements,
): Finding<string> {
  const [lower, higher] =
    receipt.throughSeq <= record.throughSeq ? [receipt, record] : [record, receipt];
  const between = higher.throughSeq - lower.throughSeq;
  if ((opened?.hashes.length ?? 0) !== between) {
    throw new Refused('opened', `not the hashes of the ${between} messages in between`);
  }
  const at = opened === undefined ? higher.chain : opened.chain;
  const leads = (opened?.hashes ?? []).reduce(
    (chain, hash) => extendChain(chain, fromHex(hash)),
    fromHex(at),
  );
  if (!equalBytes(leads, fromHex(higher.chain))) {
    throw new Refused('opened', 'the hashes do not lead to the chain that is stated');
  }
  if (at === lower.chain) throw new Refused('consistent', 'receipt and record agree');
  const [promised, sealed] = lower === receipt ? [lower.chain, at] : [at, lower.chain];
  const reason =
    `of the messages 1 to ${lower.throughSeq} of a key, the receipt says the chain ` +
    `${promised.slice(0, 16)}…, the log ${sealed.slice(0, 16)}…`;
  return { value: reason, reason };
}
