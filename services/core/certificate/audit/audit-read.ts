import { parseMessageLeaf } from '../../energy/batch.ts';
import { evidencePath } from '../../energy/evidence-file.ts';
import type { PublicKey } from '../../keys.ts';
import type { LogRead } from './audit-files.ts';
import { batchPathOf, evidenceSpecOf, missing } from './audit-evidence.ts';
import { openBatchFile, openForkFile, openOpening } from './audit-evidence.ts';
import type { EvidenceFiles, SignatureCheck } from './audit-evidence.ts';
import { openingPath } from '../commitment.ts';
import type { Entry } from '../entry.ts';
import type { HourSpec } from './evidence.ts';
import { createLeafMemory } from './leaf-memory.ts';

/** Reads the evidence of entries, and verifies what it can of it before anybody asks. */
export interface EvidenceReader {
  /** Undefined for an entry that has no evidence. Rejects only where `read` does. */
  readonly fetch: (entry: Entry | undefined) => Promise<EvidenceFiles | undefined>;
  /**
   * Verifies the signatures of leaves that no root names yet (D3.2), so that `fetch` need not. They are
   * believed in nothing, and not kept. Refused as `parseMessageLeaf` and `verifyJws`; a leaf by a key
   * that nobody knows yet is passed over.
   */
  readonly ahead: (leaves: readonly Uint8Array[]) => Promise<void>;
}

export interface EvidenceReaderContext {
  readonly read: LogRead;
  readonly signatures: SignatureCheck;
  readonly keyOf: (kid: string) => PublicKey | undefined;
}

export function createEvidenceReader({
  read,
  signatures,
  keyOf,
}: EvidenceReaderContext): EvidenceReader {
  const parseLeaf = createLeafMemory();

  const readBatch = async (spec: HourSpec) => {
    const path = batchPathOf(spec);
    const bytes = await read(path);
    if (bytes === undefined) {
      return missing('batch', path, { isWithheld: 'commitment' in spec });
    }
    const opened = openBatchFile(bytes, spec.batchRoot, parseLeaf);
    if ('value' in opened) {
      await signatures.ahead(
        opened.value.messages.map(({ parsed }) => parsed.jws),
        keyOf,
      );
    }
    return opened;
  };

  const readOpening = async (commitment: string) => {
    const path = openingPath(commitment);
    const bytes = await read(path);
    return bytes === undefined
      ? missing('commitment', path, { isWithheld: true })
      : openOpening(bytes, commitment);
  };

  return {
    async fetch(entry) {
      const wanted = evidenceSpecOf(entry);
      if (wanted === undefined || wanted.kind === 'state') return wanted;
      if (wanted.kind === 'fork') {
        const { spec } = wanted;
        const path = evidencePath(spec.evidence);
        const bytes = await read(path);
        const messages =
          bytes === undefined ? missing('evidence', path) : openForkFile(bytes, spec.evidence);
        return { kind: 'fork', spec, messages };
      }
      const { spec } = wanted;
      const batch = await readBatch(spec);
      const opening = 'commitment' in spec ? await readOpening(spec.commitment) : undefined;
      return { kind: 'hour', spec, batch, opening };
    },
    async ahead(leaves) {
      const messages = leaves.map((leaf) => parseMessageLeaf(leaf).parsed.jws);
      await signatures.ahead(messages, keyOf);
      for (const jws of messages) {
        const key = keyOf(jws.header.kid);
        if (key !== undefined) signatures.verify(jws, key);
      }
    },
  };
}
