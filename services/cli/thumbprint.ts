/**
 * Thumbprints as arguments. One in 64 begins with a hyphen (RFC 7638 thumbprints are base64url), and an
 * argument that does so reads as an option. Whoever copies one from a list should not need to know.
 */

/** Stands before such a thumbprint while the arguments are told apart; no option begins with it. */
export const thumbprintMark = 'kid:';

/** The 43 characters of a SHA-256, the first a hyphen: no option of ours has that form. */
const hyphened = /^-[A-Za-z0-9_-]{42}$/;

export function markThumbprints(args: readonly string[]): string[] {
  return args.map((arg) => (hyphened.test(arg) ? `${thumbprintMark}${arg}` : arg));
}
