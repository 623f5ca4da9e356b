import { Refused } from '../errors.ts';
import { parseMessage, type ParsedMessage } from './message.ts';
import { isPlacedOcmf, parsePlacedOcmf, type OcmfBinding } from './ocmf.ts';

/**
 * The signed formats of meters behind one door. Whoever reads a message that is kept, in the database,
 * in a leaf or in a proof file, comes in here: what it is, its own bytes say.
 */
export function parseSigned(bytes: Uint8Array): ParsedMessage {
  return isPlacedOcmf(bytes) ? parsePlacedOcmf(bytes) : parseMessage(bytes);
}

/** What a `key` entry says of whose key it is; `ocmf` where it signs records of that format. */
export interface KeyPlace {
  readonly plant: string;
  readonly meter: string;
  readonly ocmf?: OcmfBinding;
}

/**
 * That a message is one of this key's meter and meant for this log. Its signature, and its span, are
 * other questions. Throws Refused: 'meter', 'log', and 'format' where the key speaks another one.
 */
export function requireRegistered(
  { message, ocmf: source }: ParsedMessage,
  key: KeyPlace,
  origin: string | undefined,
): void {
  const { plant, meter, seq, log } = message;
  if (key.meter !== meter || key.plant !== plant) {
    throw new Refused('meter', `the key is not one of ${meter} at ${plant}`);
  }
  if ((source === undefined) !== (key.ocmf === undefined)) {
    throw new Refused('format', 'the key signs in another format');
  }
  if (source === undefined || key.ocmf === undefined) {
    if (log !== origin) throw new Refused('log', 'meant for another log');
    return;
  }
  const { context, after, serial } = key.ocmf;
  if (source.serial !== serial) throw new Refused('meter', `of the device ${source.serial}`);
  if (source.context !== context || source.page - after !== seq) {
    throw new Refused('meter', `the page ${source.context}${source.page} is not its number ${seq}`);
  }
}
