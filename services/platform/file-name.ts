import { utf8 } from '#core/bytes.ts';
import { sha256Hex } from '#crypto';

const digestDigits = 8;

/**
 * The name of a file or folder for an id (`[A-Za-z0-9._-]`, D3.1): itself, with a part of its SHA-256
 * behind it where it has capitals. To some file systems `Park` and `park` are one name, and what belongs
 * to the one must never be taken for the other's.
 */
export function fileNameOf(id: string): string {
  if (id === id.toLowerCase()) return id;
  return `${id}~${sha256Hex(utf8(id)).slice(0, digestDigits)}`;
}
