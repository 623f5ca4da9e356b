import { Refused } from '../../errors.ts';
import { parseMessageLeaf } from '../../energy/batch.ts';
import type { verifyJws } from '../../jws.ts';
import { openingPath } from '../commitment.ts';
import type { Entry } from '../entry.ts';
import { batchPathOf, evidenceSpecOf, examineHourFiles } from './audit-evidence.ts';
import { openBatchFile, openOpening } from './audit-evidence.ts';
import type { Examination, SeenMessage } from './audit-evidence.ts';
import type { HourSpec } from './evidence.ts';
import { createLeafMemory } from './leaf-memory.ts';
import type { HourRegister } from '../state/state.ts';
import { parseRegisterText } from './register-view.ts';

/**
 * Judging the evidence of hours beside the fold, in other threads as a rule. What is found there counts
 * only where nothing is wrong: everything else the replay finds again by itself, by its whole state, so
 * that its verdicts and reasons are the same with and without anybody's help.
 */

export interface HourQuestion {
  readonly plant: string;
  /** `RegisterViews.of` the plant, by which the hour is judged. */
  readonly register: string;
  readonly entry: Pick<Entry, 'kind' | 'spec'>;
  /** The meter records that the log serves beside the entry. */
  readonly records: readonly Uint8Array[];
}

export interface HourProver {
  /** Whether it pays to ask it about the hours of so many entries: where there are few, it costs more. */
  readonly isWorth: (entries: number) => boolean;
  /**
   * Reads the evidence of an hour and returns what it shows (`parseProof`), where it shows that nothing
   * is wrong; else undefined. Rejects as a `LogRead` does, and with Fatal when it has broken.
   */
  readonly prove: (question: HourQuestion) => Promise<string | undefined>;
  /**
   * Verifies the signatures of leaves that claim to be of one plant, and remembers them. False where that
   * cannot be said of one of them. Rejects with Fatal when it has broken.
   */
  readonly ahead: (question: {
    readonly plant: string;
    readonly register: string;
    readonly leaves: readonly Uint8Array[];
  }) => Promise<boolean>;
}

/** What the evidence of a right hour shows. */
export interface HourProof
  extends Required<Pick<Examination, 'seen' | 'stated'>>, Pick<Examination, 'consumptionWh'> {
  /** Messages in the batch. */
  readonly leaves: number;
}

/** Characters of one proof, about 2,000 messages; many wait at the same time for their turn. */
const proofLimitCharacters = 256 * 1024;
/** Registers that are kept parsed, in characters of their texts. */
const registersLimitCharacters = 32 * 1024 * 1024;

/** By its path; undefined where there is none, or none that can be had here. */
type ReadNow = (path: string) => Uint8Array | undefined;

/** The files that an hour needs read; none for an entry that is no hour. */
export function hourPaths(entry: HourQuestion['entry']): readonly string[] {
  const spec = hourSpecOf(entry);
  if (spec === undefined) return [];
  return 'commitment' in spec
    ? [batchPathOf(spec), openingPath(spec.commitment)]
    : [batchPathOf(spec)];
}

function hourSpecOf(entry: HourQuestion['entry']): HourSpec | undefined {
  const wanted = evidenceSpecOf(entry);
  return wanted?.kind === 'hour' ? wanted.spec : undefined;
}

/** The work behind a `HourProver`, of one thread. `verify` throws Refused as `verifyJws`. */
export interface HourWork {
  readonly prove: (question: Omit<HourQuestion, 'plant'>, read: ReadNow) => string | undefined;
  readonly ahead: (register: string, leaves: readonly Uint8Array[]) => boolean;
}

export function createHourWork(verify: typeof verifyJws): HourWork {
  const parseLeaf = createLeafMemory();
  const registerOf = createRegisterMemory();
  return {
    prove({ register, entry, records }, read) {
      const spec = hourSpecOf(entry);
      if (spec === undefined) return undefined;
      const bytes = read(batchPathOf(spec));
      if (bytes === undefined) return undefined;
      const batch = openBatchFile(bytes, spec.batchRoot, parseLeaf);
      if (!('value' in batch)) return undefined;
      const hidden = 'commitment' in spec ? read(openingPath(spec.commitment)) : undefined;
      if ('commitment' in spec && hidden === undefined) return undefined;
      const opening =
        'commitment' in spec && hidden !== undefined
          ? openOpening(hidden, spec.commitment)
          : undefined;
      const files = { kind: 'hour', spec, batch, opening } as const;
      const found = examineHourFiles(registerOf(register), files, { records, verify });
      return proofText(found, batch.value.messages.length);
    },
    ahead(register, leaves) {
      const { keys } = registerOf(register);
      try {
        for (const leaf of leaves) {
          const { jws } = parseMessageLeaf(leaf).parsed;
          const key = keys.get(jws.header.kid)?.key;
          if (key === undefined) return false;
          verify(jws, key);
        }
        return true;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return false;
      }
    },
  };
}

/** Parses the register of a plant once for many hours. */
function createRegisterMemory(): (text: string) => HourRegister {
  const known = new Map<string, HourRegister>();
  let characters = 0;
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found;
    const register = parseRegisterText(text);
    known.set(text, register);
    characters += text.length;
    for (const oldest of known.keys()) {
      if (characters <= registersLimitCharacters || known.size === 1) break;
      known.delete(oldest);
      characters -= oldest.length;
    }
    return register;
  };
}

type ProofText = readonly [
  leaves: number,
  seen: readonly (readonly [kid: string, seq: number, hash: string])[],
  stated: HourProof['stated'],
  consumptionWh: number | null,
];

function proofText(found: Examination, leaves: number): string | undefined {
  const { fault, unusable, seen, stated, consumptionWh = null } = found;
  if (fault !== undefined || unusable !== undefined) return undefined;
  if (seen === undefined || stated === undefined) return undefined;
  const told = seen.map(({ kid, seq, hash }) => [kid, seq, hash] as const);
  const shown: ProofText = [leaves, told, stated, consumptionWh];
  const text = JSON.stringify(shown);
  return text.length <= proofLimitCharacters ? text : undefined;
}

/** What a `HourProver` said: of our own making, and so believed. */
export function parseProof(text: string): HourProof {
  const [leaves, seen, stated, consumptionWh] = JSON.parse(text) as ProofText;
  return {
    leaves,
    seen: seen.map(([kid, seq, hash]): SeenMessage => ({ kid, seq, hash })),
    stated,
    ...(consumptionWh !== null && { consumptionWh }),
  };
}
