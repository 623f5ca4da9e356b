import { describe, expect, it } from 'vitest';
import type { EvidenceFiles } from '#core/certificate/audit/audit-evidence.ts';
import { fetchEntries, settling } from '#core/certificate/audit/audit-fetch.ts';
import { heldEvidenceLimitBytes } from '#core/certificate/audit/audit-fetch.ts';
import { encodeEntry } from '#core/certificate/entry.ts';
import { specOf } from '#core/certificate/kinds.ts';
import { testHash } from '#support/log-builder.ts';

const fileBytes = 1024 * 1024;
const spec = specOf.hour.parse({
  batchRoot: testHash('batch'),
  certificates: { deficit: 0, netted: 0 },
  generation: 0,
  interval: { seconds: 3600, start: 3600 },
  messages: 1,
  metersRoot: testHash('meters'),
  plant: 'p',
  quality: 'measured',
});

/** As a log can name it whose operator wants its auditors to run out of memory. */
function largeEvidence(): EvidenceFiles {
  const file = { leaves: [new Uint8Array(fileBytes)], quarantined: [] };
  const batch = { value: { file, root: new Uint8Array(32), messages: [] } };
  return { kind: 'hour', spec, batch, opening: undefined };
}

describe('what belongs to a bundle of entries', () => {
  it('is held as far as it is not too much, and the rest is read in its turn', async () => {
    let reads = 0;
    const context = {
      files: {
        checkpoint: () => Promise.resolve(new Uint8Array()),
        entries: () => Promise.resolve([]),
        records: () => Promise.resolve([]),
      },
      evidence: {
        fetch: () => {
          reads++;
          return Promise.resolve(largeEvidence());
        },
        ahead: () => Promise.resolve(),
      },
      registers: { of: () => 'the register', note: () => undefined },
      prover: undefined,
    };
    const entry = encodeEntry({ auth: [], kind: 'hour', spec, time: 7200 });
    const entries = Array.from({ length: 256 }, () => entry);
    const fetched = await fetchEntries(context, entries, { first: 0, size: 256 });
    const held = fetched.filter(({ files }) => files !== undefined);
    expect(held).toHaveLength(heldEvidenceLimitBytes / fileBytes);
    // Those under way when the limit was met were read for nothing.
    expect(reads).toBeLessThan(held.length + 8);
    const settled = settling(context, fetched);
    for (const place of entries.keys()) {
      expect((await settled.at(place)).files?.kind).toBe('hour');
    }
    expect(reads).toBeLessThan(entries.length + 8);
  });
});
