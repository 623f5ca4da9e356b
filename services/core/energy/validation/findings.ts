import { compareAscii } from '../../bytes.ts';
import { disputes, verdicts, type Verdict } from '../verdicts.ts';

/**
 * Rules that inform people and nobody else: they look at other hours, at other meters or at the sun,
 * and so stand in no meter record (FORMATS.md, "Validation").
 */
export const informing = {
  check: { unit: 'Wh', text: 'main and check meter differ' },
  daily: { unit: 'Wh', text: "a day's hours do not add up to what its registers say" },
  night: { unit: 'Wh', text: 'a solar plant feeds in while it is night' },
  power: { unit: 'W', text: 'more power between two readings than the plant has' },
  stuck: { unit: 's', text: 'no register of the meter has moved' },
  zero: { unit: 's', text: 'a plant feeds in nothing although it should' },
} as const;

/** Codes of records for which a rule that informs finds more than the record says, and their units. */
export const extending = {
  clock: { unit: 'messages', text: 'messages of the hour were quarantined as `future` or `order`' },
  gap: { unit: 's', text: 'between two readings of the hour lies a gap' },
  status: { unit: 'readings', text: 'readings of the hour tell of a power failure' },
} as const;

export type FindingCode = Verdict | keyof typeof informing;

/** What validation says of a meter and hour. */
export interface Finding {
  readonly code: FindingCode;
  /** It stands in the meter record too, where auditors recompute it. */
  readonly inRecord: boolean;
  /** What was found and what is allowed, in the unit of the rule; absent where only the record says so. */
  readonly value?: number;
  readonly limit?: number;
}

/** A rule's own find, before it is joined with what the record says. */
export interface Found {
  readonly code: keyof typeof informing | keyof typeof extending;
  readonly value: number;
  readonly limit: number;
}

/** By code, each once, sorted: what the record says and what the rules found. */
export function joinFindings(
  record: readonly Verdict[],
  found: readonly (Found | undefined)[],
): readonly Finding[] {
  const joined = new Map<FindingCode, Finding>();
  for (const code of record) joined.set(code, { code, inRecord: true });
  for (const one of found) {
    if (one === undefined) continue;
    joined.set(one.code, { ...one, inRecord: joined.has(one.code) });
  }
  return [...joined.values()].sort((a, b) => compareAscii(a.code, b.code));
}

/** Whether what was found keeps the hour from issuing: only what stands in the record can. */
export function disputesHour({ code, inRecord }: Finding): boolean {
  return inRecord && Object.hasOwn(verdicts, code) && disputes(code as Verdict);
}

export function unitOf(code: FindingCode): string | undefined {
  const units: Readonly<Record<string, { readonly unit: string } | undefined>> = {
    ...informing,
    ...extending,
  };
  return units[code]?.unit;
}

export function textOf({ code, value }: Finding): string {
  if (code in informing) return informing[code as keyof typeof informing].text;
  if (value !== undefined && code in extending)
    return extending[code as keyof typeof extending].text;
  return verdicts[code as Verdict].text;
}
