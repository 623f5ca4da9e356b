import { parsePublicJwk } from '#core/keys.ts';
import { cosignatureType, formatVkey } from '#core/tlog/note.ts';
import { testKey, testVkey } from './log-builder.ts';

/** A witness's vkey, by the test key of that name. */
export function witnessVkey(name: string, key = `witness ${name}`): string {
  const { raw } = parsePublicJwk(testKey(key).jwk);
  return formatVkey({ name: `witness.example/${name}`, type: cosignatureType, publicKey: raw });
}

export interface TestPolicy {
  readonly logs?: readonly string[];
  /** Name to vkey; a quorum is all of them. */
  readonly witnesses?: Readonly<Record<string, string>>;
  /** `both`, of all, unless given. */
  readonly quorum?: string;
}

/** A policy for the test log that cannot be met without its auditor. */
export function testPolicy({
  logs = [testVkey()],
  witnesses = { one: witnessVkey('one'), two: witnessVkey('two/audit') },
  quorum = 'both',
}: TestPolicy = {}): string {
  const names = Object.keys(witnesses);
  return [
    ...logs.map((vkey) => `log ${vkey}`),
    ...Object.entries(witnesses).map(([name, vkey]) => `witness ${name} ${vkey}`),
    ...(names.length === 0
      ? ['quorum none']
      : [`group both all ${names.join(' ')}`, `quorum ${quorum}`]),
    '',
  ].join('\n');
}
