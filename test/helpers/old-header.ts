// Headers of any version: what older enclaves wrote, which ours only reads, made from what ours writes.

import type { CborMap } from '../../wire/cbor.ts';
import { encodeCbor, parseCbor } from '../../wire/cbor.ts';
import type { EpochHeader } from '../../wire/header.ts';
import { encodeHeader } from '../../wire/header.ts';
import { MAX_LEAF_BYTES } from '../../wire/limits.ts';
import { assertAccepted } from '../../wire/result.ts';

const FIELDS: Readonly<Record<EpochHeader['version'], number>> = { 1: 15, 2: 17, 3: 19 };

export function encodeAnyHeader(header: EpochHeader): Uint8Array {
  const { version } = header;
  const map = assertAccepted(parseCbor(encodeHeader(header), { maxBytes: MAX_LEAF_BYTES }));
  const fields = [...(map as CborMap)].filter(([field]) => Number(field) <= FIELDS[version]);
  return encodeCbor(new Map([...fields, [1, version]]));
}
