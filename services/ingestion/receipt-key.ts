import { Refused } from '#core/errors.ts';
import { parsePublicJwk, publicJwk } from '#core/keys.ts';
import { array, instant, object, optional, type Infer } from '#core/shape.ts';
import type { Signer } from '#core/signer.ts';

/** `log_setting.ingestion_keys`: the keys of receipts that the log has named, oldest first. */
const namedKeysShape = array(object({ jwk: publicJwk, until: optional(instant) }), {
  min: 1,
  max: 10_000,
});
export type NamedKeys = Infer<typeof namedKeysShape>;

export function parseNamedKeys(value: unknown): NamedKeys {
  return namedKeysShape.parse(value, 'log_setting.ingestion_keys');
}

/**
 * Who signs receipts at `nowS`: the newest key that the log names and that is `held` here. So the new
 * one signs from its entry on, and the old one until then, or until its end where only that is here.
 * Refused('ingestion-key') when there is none: devices drop what a receipt covers, and one by a key
 * that the log does not name is worth nothing to them.
 */
export function receiptSigner(
  held: readonly Signer[],
  { named, nowS }: { readonly named: NamedKeys; readonly nowS: number },
): Signer {
  const good = named.filter(({ until = nowS }) => nowS <= until).toReversed();
  for (const { jwk } of good) {
    const { kid } = parsePublicJwk(jwk);
    const signer = held.find((one) => one.kid === kid);
    if (signer !== undefined) return signer;
  }
  throw new Refused('ingestion-key', 'the log names none of the ingestion keys that are here');
}
