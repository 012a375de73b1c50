// The cryptography that wire/ needs, passed in by whoever calls: Node's crypto in the enclave, the
// host and the verifier; anything with the same answers elsewhere. wire/ trusts it completely.

export interface WireCrypto {
  /** SHA-256 over the concatenation of the parts; 32 bytes. */
  sha256(...parts: readonly Uint8Array[]): Uint8Array;
  /** SHA-384 over the concatenation of the parts; 48 bytes. */
  sha384(...parts: readonly Uint8Array[]): Uint8Array;
  /** RFC 5869 with SHA-256. */
  hkdfSha256(
    inputKey: Uint8Array,
    salt: Uint8Array,
    info: Uint8Array,
    lengthBytes: number,
  ): Uint8Array;
  /** AES-256-GCM; answers ciphertext ‖ 16-byte tag. */
  aes256GcmSeal(
    key: Uint8Array,
    nonce12: Uint8Array,
    plaintext: Uint8Array,
    associatedData: Uint8Array,
  ): Uint8Array;
  /** Null when the tag does not match; never partial plaintext. */
  aes256GcmOpen(
    key: Uint8Array,
    nonce12: Uint8Array,
    sealed: Uint8Array,
    associatedData: Uint8Array,
  ): Uint8Array | null;
  /** X25519 shared secret, or null for a low-order point. Keys are the raw 32 bytes. */
  x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | null;
  /** ECDSA P-256 with SHA-256; `spki` is DER, `signature` is DER. False for anything malformed. */
  verifyP256Der(spki: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** ECDSA P-384 with SHA-384; `spki` is DER, `signature` is r‖s, 96 bytes. High s is accepted. */
  verifyP384Raw(spki: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** ECDSA P-384 with SHA-384; `spki` is DER, `signature` is DER, as X.509 has it. */
  verifyP384Der(spki: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}
