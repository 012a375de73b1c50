// CBOR as the simulated module writes it, by a library and not by our own encoder: what the enclave's parsers
// read here was made by somebody else, as on hardware.

import { Encoder } from 'cbor-x';

/** Integers from 2^32 on are bigints: the library would make floating-point numbers of them. */
export type NsmValue =
  | number
  | bigint
  | string
  | boolean
  | null
  | Uint8Array
  | readonly NsmValue[]
  | ReadonlyMap<number | string, NsmValue>;

const encoder = new Encoder({ mapsAsObjects: false, tagUint8Array: false, useRecords: false });

/** Definite lengths, shortest heads, maps in the order of their entries. */
export function encodeNsm(value: NsmValue): Uint8Array {
  return Uint8Array.from(encoder.encode(value));
}
