import { describe, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { createAuditor, type Auditor } from '#core/certificate/audit/audit.ts';
import { plainSignatureCheck } from '#core/certificate/audit/audit-evidence.ts';
import { encodeFramed } from '#core/energy/evidence-file.ts';
import type { Checkpoint } from '#core/tlog/checkpoint.ts';
import { encodeBundle, tileWidth } from '#core/tlog/tile.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { createLog, testHash, testOrigin, type LogBuilder } from '#support/log-builder.ts';

/** A log that is made to be large in the memory of whoever audits it. */

const brokenLimit = 300;

function auditorOf({ entries }: LogBuilder): Auditor {
  const read = (path: string): Promise<Uint8Array | undefined> => {
    const [, kind, bundle = '', width = ''] =
      /^(tile\/entries|meters)\/(\d{3})(?:\.p\/(\d+))?$/.exec(path) ?? [];
    const first = Number(bundle) * tileWidth;
    const own = entries.slice(first, first + (width === '' ? tileWidth : Number(width)));
    const none = own.map(() => new Uint8Array(0));
    return Promise.resolve(
      kind === 'meters' ? encodeFramed(none.map(() => encodeFramed([]))) : encodeBundle(own),
    );
  };
  return createAuditor({ read, signatures: plainSignatureCheck, brokenLimit });
}

function checkpointOf({ entries }: LogBuilder): Checkpoint {
  return { origin: testOrigin, size: entries.length, root: treeRoot(entries.map(leafHash)) };
}

function broken(count: number): LogBuilder {
  const log = createLog();
  log.genesis();
  for (let i = 0; i < count; i++) log.append(utf8(String(i)));
  return log;
}

describe('a log of entries that broke a rule', () => {
  it('is refused at the first of them, as far as they can be remembered', async () => {
    const [first] = await auditorOf(broken(10)).judge(checkpointOf(broken(10)));
    expect(first).toMatchObject({ index: 1, code: 'form' });
  });

  it('is judged no further than they are remembered, however often it asks', async () => {
    const log = broken(8 * tileWidth);
    const auditor = auditorOf(log);
    const sizes = [];
    for (let times = 0; times < 4; times++) {
      const found = await auditor.judge(checkpointOf(log));
      expect(found.some(({ code, index }) => code === 'void' && index === undefined)).toBe(true);
      sizes.push(auditor.state.size);
    }
    expect(sizes).toEqual(Array(4).fill(2 * tileWidth));
  });

  it('is not hashed to its end where it says so of too many', async () => {
    const log = createLog();
    log.genesis();
    for (let i = 0; i < 8 * tileWidth; i++) {
      const index = 1_000_000 + i;
      log.append(log.encode('void', { code: 'batch', index, leafHash: testHash('none') }));
    }
    const auditor = auditorOf(log);
    const [found] = await auditor.judge(checkpointOf(log));
    expect(found).toMatchObject({ code: 'void', index: undefined });
    expect(auditor.state.size).toBe(0);
  });

  it('is agreed to where each has its void', async () => {
    const log = createLog();
    const wrong = [log.genesis(), ...['a', 'b'].map((text) => log.append(utf8(text)))].slice(1);
    for (const judgement of wrong) log.void(judgement);
    const auditor = auditorOf(log);
    expect(await auditor.judge(checkpointOf(log))).toEqual([]);
  });
});
