import type { BenchContext, Scale } from './figure.ts';
import { startIngestRig, type IngestLoad, type IngestResult } from './ingest-rig.ts';
import { verifyLimit } from './verify-limit.ts';

const keys = 1_000;
const messagesPerKey: Readonly<Record<Scale, Readonly<Record<number, number>>>> = {
  s: { 1: 12, 15: 4, 60: 2 },
  m: { 1: 60, 15: 30, 60: 12 },
  l: { 1: 400, 15: 200, 60: 80 },
};
const bars = [
  [1, 'messages, 1 reading', 0.55],
  [15, 'readings, 15 a message', 100_000],
  [60, 'readings, 60 a message', 170_000],
] as const;

/** Signed messages over MQTT QoS 1, acknowledged after the commit (D7, first three rows). */
export async function bench({ scale, report }: BenchContext): Promise<void> {
  const rig = await startIngestRig({ keys });
  const { engine } = rig;
  const load = (readingsPerMessage: number, more: Partial<IngestLoad>): Promise<IngestResult> =>
    rig.load({
      keys,
      messagesPerKey: messagesPerKey[scale][readingsPerMessage] ?? 1,
      readingsPerMessage,
      window: 4,
      ratePerS: 0,
      ...more,
    });
  const reportCpu = (name: string, { cpuUs }: IngestResult): void => {
    for (const [who, value] of Object.entries(cpuUs)) {
      report({ case: `${name}: CPU of ${who}`, value, unit: 'us/message', engine });
    }
  };
  try {
    // What comes first pays for what the compiler has not seen yet.
    await load(1, {});
    let singlePerS = 0;
    for (const [readings, name, bar] of bars) {
      const before = await verifyLimit();
      const result = await load(readings, {});
      const limit = ((before + (await verifyLimit())) / 2) * readings;
      const unit = '1/s';
      report({ case: name, value: result.perS * readings, unit, limit, bar, engine });
      reportCpu(name, result);
      if (readings === 1) singlePerS = result.perS;
    }
    const calm = await load(1, { ratePerS: Math.floor(singlePerS * 0.7) });
    const p99 = 'acknowledgement p99 at 70 % load';
    report({ case: p99, value: calm.latencyP99Ms, unit: 'ms', bar: 50, engine });
    reportCpu(p99, calm);
  } finally {
    await rig.stop();
  }
}
