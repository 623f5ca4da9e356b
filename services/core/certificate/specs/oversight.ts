import { reasonCode } from '../../energy/receipt.ts';
import {
  array,
  either,
  hashHex,
  id,
  instant,
  integer,
  object,
  oneOf,
  pattern,
  text,
  thumbprint,
} from '../../shape.ts';
import { signed } from './parts.ts';

const evidence = array(hashHex, { min: 0, max: 16 });

/** `evidence` is SHA-256 of the file that holds the two messages' leaves, framed as in a batch. */
export const forkSpec = object({ evidence: hashHex, kid: thumbprint, seq: integer(1) });

const frozenThing = oneOf('account', 'key', 'meter', 'plant');
const freezeMembers = {
  evidence,
  id: pattern('[A-Za-z0-9._-]{1,64}'),
  reason: text(1000),
  what: frozenThing,
  ...signed,
} as const;
export const freezeSpec = object(freezeMembers);
export const unfreezeSpec = object(freezeMembers);

/**
 * What an issuing body decides about evidence (D4.1 to D4.3), for messages `from` … `to` of a key:
 * `accept-late` lets late ones count; `set-aside` makes them count for nothing; `keep-fork` (one seq)
 * says which of the two, by its hash, counts. `break`: at `t` of `meter` the registers may have
 * fallen; nothing is asserted across it.
 */
const decisionBase = { evidence, reason: text(1000), ...signed } as const;
export const decisionSpec = either(
  object({
    ...decisionBase,
    effect: oneOf('accept-late', 'set-aside'),
    from: integer(1),
    kid: thumbprint,
    to: integer(1),
  }),
  either(
    object({
      ...decisionBase,
      effect: oneOf('keep-fork'),
      hash: hashHex,
      kid: thumbprint,
      seq: integer(1),
    }),
    object({ ...decisionBase, effect: oneOf('break'), meter: id, t: instant }),
  ),
);

export const voidSpec = object({ code: reasonCode, index: integer(0), leafHash: hashHex });
