import { sha256 } from '#crypto';
import { concat, decodeUtf8, utf8 } from '../bytes.ts';
import { Refused, within } from '../errors.ts';
import { id, integer, object, oneOf, pattern, thumbprint, type Infer } from '../shape.ts';
import { messageLimitBytes, requireOrderWithinOneHour, type ParsedMessage } from './message.ts';
import { parseOcmfRecord } from './ocmf-record.ts';

/**
 * What a `key` entry says of a key that speaks OCMF: the device, since a record names neither plant
 * nor meter of ours; which of its two paginations counts; and the page before the first that does.
 */
export const ocmfShape = object({
  after: integer(0),
  context: oneOf('F', 'T'),
  serial: pattern('[!-~]{1,64}'),
});
export type OcmfBinding = Infer<typeof ocmfShape>;

/** Whose record it is, by the key that it came under. */
export interface OcmfPlace {
  readonly kid: string;
  readonly plant: string;
  readonly meter: string;
  readonly ocmf: OcmfBinding;
}

const newline = 0x0a;
/** Length of a thumbprint, the first line. */
const kidLength = 43;

/** True of bytes as `placeOcmf` writes them; no JWS has a line break. */
export function isPlacedOcmf(bytes: Uint8Array): boolean {
  return bytes[kidLength] === newline;
}

/**
 * A record as it is kept (FORMATS.md): before its own bytes, unchanged, four lines that say under which
 * key it came: kid, plant, meter, seq. Refused as `parseOcmfRecord`, and 'page' for a record of the
 * other pagination, or of a page that does not count.
 */
export function placeOcmf(record: Uint8Array, { kid, plant, meter, ocmf }: OcmfPlace): Uint8Array {
  const { context, page } = parseOcmfRecord(record);
  if (context !== ocmf.context || page <= ocmf.after) {
    throw new Refused('page', `the page ${context}${page}, not one after ${pageText(ocmf)}`);
  }
  return concat(utf8(`${kid}\n${plant}\n${meter}\n${page - ocmf.after}\n`), record);
}

function pageText({ context, after }: OcmfBinding): string {
  return `${context}${after}`;
}

/**
 * Parses what `placeOcmf` wrote, by its form alone: that the four lines are true, the key's entry tells
 * (`requireRegistered`). What a JWS header would say stands in the place of one. Throws
 * Refused('size'), Refused('alg') and Refused('form'), as for a message.
 */
export function parsePlacedOcmf(bytes: Uint8Array): ParsedMessage {
  if (bytes.length > messageLimitBytes) {
    throw new Refused('size', `${bytes.length} bytes, at most ${messageLimitBytes} are accepted`);
  }
  try {
    const { kid, plant, meter, seq, record } = linesOf(bytes);
    const { alg, payload, signature, readings, ...source } = parseOcmfRecord(record);
    requireOrderWithinOneHour(readings);
    return {
      message: { log: '', meter, plant, readings, seq },
      jws: {
        header: { alg, kid, typ: 'hourseal-message' },
        payload,
        signingInput: payload,
        signature,
      },
      hash: sha256(payload),
      ocmf: source,
    };
  } catch (cause) {
    if (!(cause instanceof Refused) || cause.code === 'size' || cause.code === 'alg') throw cause;
    throw new Refused('form', cause.message, { cause });
  }
}

interface Lines {
  readonly kid: string;
  readonly plant: string;
  readonly meter: string;
  readonly seq: number;
  readonly record: Uint8Array;
}

function linesOf(bytes: Uint8Array): Lines {
  const lines: string[] = [];
  let at = 0;
  while (lines.length < 4) {
    const end = bytes.indexOf(newline, at);
    if (end < 0) throw new Refused('form', 'not four lines before the record');
    lines.push(decodeUtf8(bytes.subarray(at, end)));
    at = end + 1;
  }
  const [kid, plant, meter, decimal = ''] = lines;
  const seq = Number(decimal);
  if (String(seq) !== decimal) throw new Refused('form', 'seq: in another spelling');
  return {
    kid: within('kid', () => thumbprint.parse(kid)),
    plant: within('plant', () => id.parse(plant)),
    meter: within('meter', () => id.parse(meter)),
    seq: within('seq', () => integer(1).parse(seq)),
    record: bytes.subarray(at),
  };
}
