/** The part that is used of a package that brings no types: Ed25519 by libsodium. */
declare module 'sodium-native' {
  /** Throws where the key is not 32 bytes or the signature shorter than 64. */
  export function crypto_sign_verify_detached(
    signature: Uint8Array,
    message: Uint8Array,
    publicKey: Uint8Array,
  ): boolean;
}
