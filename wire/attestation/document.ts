// The payload of a Nitro attestation document, syntax only. Genuine hardware writes the top map with
// indefinite length, and null for what is absent; both are accepted, and null means the same as missing.
// Unknown keys are ignored: AWS may add some, and none can change a decision here. Documents of
// NitroTPM are signed under the same root and are refused: they say nothing about an enclave.
//
//   { "module_id": tstr, "digest": "SHA384", "timestamp": uint ms, "pcrs": {0..31: bstr 48},
//     "certificate": bstr 1..1024, "cabundle": [bstr 1..1024] root first,
//     "public_key": bstr 1..1024 | null, "user_data": bstr 0..1024 | null, "nonce": bstr 0..1024 | null }

import type { CborMap, CborValue } from '../cbor.ts';
import { parseCbor } from '../cbor.ts';
import { MAX_CERTIFICATE_BYTES, MAX_DOCUMENT_BYTES } from '../limits.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';

export const PCR_BYTES = 48; // SHA-384
export const PCR_COUNT = 32;
/** The CDDL's bound for public_key, user_data and nonce. */
const MAX_FIELD_BYTES = 1024;
/** AWS sends four. Eight bounds the signatures that a hostile document makes us check. */
const MAX_CABUNDLE = 8;

export interface AttestationDocument {
  readonly moduleId: string;
  /** Milliseconds since the Unix epoch, by the NSM's clock. */
  readonly timestampMs: number;
  /** Index to value; only locked PCRs are listed, so there may be holes. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
  /** The leaf certificate, DER. */
  readonly certificate: Uint8Array;
  /** Root first, then down to the issuer of the leaf. */
  readonly cabundle: readonly Uint8Array[];
  readonly publicKey: Uint8Array | null;
  readonly userData: Uint8Array | null;
  readonly nonce: Uint8Array | null;
}

class Malformed extends Error {
  readonly field: string;
  constructor(field: string) {
    super(field);
    this.field = field;
  }
}

export function parseDocument(payload: Uint8Array): Result<AttestationDocument> {
  const decoded = parseCbor(payload, {
    maxBytes: MAX_DOCUMENT_BYTES,
    deterministic: false,
    maxItems: 256,
  });
  if (!decoded.ok) return decoded;
  if (!(decoded.value instanceof Map)) return refuse('document_malformed', { field: 'payload' });
  const map = decoded.value as CborMap;
  try {
    if (map.has('nitrotpm_pcrs')) return refuse('document_not_enclave', { what: 'nitrotpm_pcrs' });
    const moduleId = readModuleId(map.get('module_id'));
    if (/-tpm[0-9a-f]*$/u.test(moduleId)) {
      return refuse('document_not_enclave', { what: 'module_id' });
    }
    // Before the PCRs are looked at: it says what they are.
    if (map.get('digest') !== 'SHA384') return refuse('document_digest');
    return accept({
      moduleId,
      timestampMs: readTimestamp(map.get('timestamp')),
      pcrs: readPcrs(map.get('pcrs')),
      certificate: readBytes(map.get('certificate'), 'certificate', 1, MAX_CERTIFICATE_BYTES),
      cabundle: readCabundle(map.get('cabundle')),
      publicKey: readOptional(map, 'public_key', 1),
      userData: readOptional(map, 'user_data', 0),
      nonce: readOptional(map, 'nonce', 0),
    });
  } catch (error) {
    if (error instanceof Malformed) return refuse('document_malformed', { field: error.field });
    throw error;
  }
}

/** `i-<instance>-enc<hex>`; printable ASCII, because it is shown on terminals. */
function readModuleId(value: CborValue | undefined): string {
  if (typeof value !== 'string' || !/^[!-~]{1,128}$/u.test(value)) throw new Malformed('module_id');
  return value;
}

function readTimestamp(value: CborValue | undefined): number {
  if (typeof value !== 'number' || value <= 0) throw new Malformed('timestamp');
  // Later than the year 275760 is no Date; it also keeps arithmetic on milliseconds exact.
  if (value > 8_640_000_000_000_000) throw new Malformed('timestamp');
  return value;
}

function readPcrs(value: CborValue | undefined): ReadonlyMap<number, Uint8Array> {
  if (!(value instanceof Map)) throw new Malformed('pcrs');
  const map = value as CborMap;
  if (map.size === 0 || map.size > PCR_COUNT) throw new Malformed('pcrs');
  const pcrs = new Map<number, Uint8Array>();
  for (const [index, pcr] of map) {
    // The bound is the number of registers, not of entries: documents list only locked ones.
    if (typeof index !== 'number' || index < 0 || index >= PCR_COUNT) throw new Malformed('pcrs');
    pcrs.set(index, readBytes(pcr, 'pcrs', PCR_BYTES, PCR_BYTES));
  }
  return pcrs;
}

function readCabundle(value: CborValue | undefined): readonly Uint8Array[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_CABUNDLE) {
    throw new Malformed('cabundle');
  }
  const bundle = value as readonly CborValue[];
  return bundle.map((der) => readBytes(der, 'cabundle', 1, MAX_CERTIFICATE_BYTES));
}

function readBytes(
  value: CborValue | undefined,
  field: string,
  minimum: number,
  maximum: number,
): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length < minimum || value.length > maximum) {
    throw new Malformed(field);
  }
  return value;
}

function readOptional(map: CborMap, field: string, minimum: number): Uint8Array | null {
  const value = map.get(field);
  if (value === undefined || value === null) return null;
  return readBytes(value, field, minimum, MAX_FIELD_BYTES);
}
