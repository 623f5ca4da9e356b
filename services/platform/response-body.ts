/**
 * The bytes of a response, counted as they arrive and after decoding: a length that a server states
 * proves nothing. Rejects with what `tooLarge` makes as soon as there are more than the limit.
 */
export async function bodyOf(
  { body }: Response,
  limitBytes: number,
  tooLarge: () => Error,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (body !== null) {
    // Leaving the loop early cancels the rest.
    for await (const chunk of body) {
      const bytes: unknown = chunk;
      if (!(bytes instanceof Uint8Array)) {
        throw new TypeError('a body of something else than bytes');
      }
      length += bytes.length;
      if (length > limitBytes) throw tooLarge();
      chunks.push(bytes);
    }
  }
  const { buffer, byteOffset, byteLength } = Buffer.concat(chunks, length);
  return new Uint8Array(buffer, byteOffset, byteLength);
}
