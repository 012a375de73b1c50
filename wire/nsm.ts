// Requests to the Nitro Security Module and its responses, as the device speaks CBOR: the serde form of
// AWS's nsm-api. Requests are exact bytes; their keys are in AWS's order, which is not the sorted one.
// Responses are read by key, in any order and with indefinite lengths, because devices differ.
// The enclave has to trust its NSM; parsing is strict all the same, so that a fault is seen as one.
//
//   request   "DescribeNSM" | "GetRandom" | {"DescribePCR":{"index"}} | {"ExtendPCR":{"index","data"}} |
//             {"LockPCR":{"index"}} | {"LockPCRs":{"range"}} | {"Attestation":{"user_data","nonce","public_key"}}
//   response  {"<name>":{fields}} | "LockPCR" | "LockPCRs" | {"Error":"<code>"}

import { PCR_BYTES, PCR_COUNT } from './attestation/document.ts';
import { concatBytes } from './bytes.ts';
import type { CborMap, CborValue } from './cbor.ts';
import { encodeCbor, encodeCborHead, parseCbor } from './cbor.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

/** The driver's limits: NSM_REQUEST_MAX_SIZE and NSM_RESPONSE_MAX_SIZE of Linux, drivers/misc/nsm.c. */
export const MAX_NSM_REQUEST_BYTES = 0x1000;
export const MAX_NSM_RESPONSE_BYTES = 0x3000;
const MAX_RANDOM_BYTES = 256;

export const NSM_ERRORS = [
  'Success',
  'InvalidArgument',
  'InvalidIndex',
  'InvalidResponse',
  'ReadOnlyIndex',
  'InvalidOperation',
  'BufferTooSmall',
  'InputTooLarge',
  'InternalError',
] as const;
export type NsmError = (typeof NSM_ERRORS)[number];

export interface AttestationRequest {
  readonly userData: Uint8Array | null;
  readonly nonce: Uint8Array | null;
  readonly publicKey: Uint8Array | null;
}

export interface NsmDescription {
  /** major.minor.patch */
  readonly version: string;
  readonly moduleId: string;
  readonly maxPcrs: number;
  readonly lockedPcrs: readonly number[];
}

export interface PcrState {
  readonly locked: boolean;
  readonly value: Uint8Array;
}

/** A map in the order given: what AWS writes is not in deterministic order. */
export function encodeOrderedMap(...pairs: readonly (readonly [string, CborValue])[]): Uint8Array {
  const parts = pairs.flatMap(([key, value]) => [encodeCbor(key), encodeCbor(value)]);
  return concatBytes(encodeCborHead(5, pairs.length), ...parts);
}

function encodeCall(name: string, fields: Uint8Array): Uint8Array {
  return concatBytes(encodeCborHead(5, 1), encodeCbor(name), fields);
}

export const encodeNsm = {
  describe: (): Uint8Array => encodeCbor('DescribeNSM'),
  random: (): Uint8Array => encodeCbor('GetRandom'),
  describePcr: (index: number): Uint8Array =>
    encodeCall('DescribePCR', encodeOrderedMap(['index', index])),
  extendPcr: (index: number, data: Uint8Array): Uint8Array =>
    encodeCall('ExtendPCR', encodeOrderedMap(['index', index], ['data', data])),
  lockPcr: (index: number): Uint8Array => encodeCall('LockPCR', encodeOrderedMap(['index', index])),
  /** Locks 0 to `range` - 1. */
  lockPcrs: (range: number): Uint8Array =>
    encodeCall('LockPCRs', encodeOrderedMap(['range', range])),
  attestation: ({ userData, nonce, publicKey }: AttestationRequest): Uint8Array =>
    encodeCall(
      'Attestation',
      encodeOrderedMap(['user_data', userData], ['nonce', nonce], ['public_key', publicKey]),
    ),
} as const;

/** Reads a response to `name`; `read` answers undefined for fields that are not as they must be. */
function parseResponse<T>(
  bytes: Uint8Array,
  name: string,
  read: (fields: CborMap) => T | undefined,
): Result<T> {
  const decoded = parseCbor(bytes, { maxBytes: MAX_NSM_RESPONSE_BYTES, deterministic: false });
  if (!decoded.ok) return refuse('nsm_malformed', { request: name, cause: decoded.refusal.code });
  const response = decoded.value;
  if (response instanceof Map && response.size === 1) {
    const map = response as CborMap;
    const error = map.get('Error');
    if (typeof error === 'string') return refuseError(name, error);
    const fields = map.get(name);
    const value = fields instanceof Map ? read(fields as CborMap) : undefined;
    if (value !== undefined) return accept(value);
  }
  return refuse('nsm_malformed', { request: name });
}

function refuseError(name: string, error: string): Result<never> {
  const known = NSM_ERRORS.find((code) => code === error);
  // A text outside the list could be anything: it is not repeated.
  if (known === undefined) return refuse('nsm_malformed', { request: name });
  return refuse('nsm_error', { request: name, error: known });
}

function parseBare(bytes: Uint8Array, name: string): Result<null> {
  const decoded = parseCbor(bytes, { maxBytes: MAX_NSM_RESPONSE_BYTES, deterministic: false });
  if (decoded.ok && decoded.value === name) return accept(null);
  const refused = parseResponse(bytes, name, () => undefined);
  return refused.ok ? refuse('nsm_malformed', { request: name }) : refused;
}

function bytesOf(
  value: CborValue | undefined,
  minimum: number,
  maximum: number,
): Uint8Array | null {
  if (!(value instanceof Uint8Array)) return null;
  return value.length >= minimum && value.length <= maximum ? value : null;
}

function isU16(value: CborValue | undefined): value is number {
  return typeof value === 'number' && value >= 0 && value <= 0xffff;
}

export const parseNsm = {
  describe: (bytes: Uint8Array): Result<NsmDescription> =>
    parseResponse(bytes, 'DescribeNSM', readDescription),
  describePcr: (bytes: Uint8Array): Result<PcrState> =>
    parseResponse(bytes, 'DescribePCR', (fields) => {
      const locked = fields.get('lock');
      const value = bytesOf(fields.get('data'), PCR_BYTES, PCR_BYTES);
      return typeof locked === 'boolean' && value !== null ? { locked, value } : undefined;
    }),
  /** The register's new value. */
  extendPcr: (bytes: Uint8Array): Result<Uint8Array> =>
    parseResponse(
      bytes,
      'ExtendPCR',
      (fields) => bytesOf(fields.get('data'), PCR_BYTES, PCR_BYTES) ?? undefined,
    ),
  lockPcr: (bytes: Uint8Array): Result<null> => parseBare(bytes, 'LockPCR'),
  lockPcrs: (bytes: Uint8Array): Result<null> => parseBare(bytes, 'LockPCRs'),
  /** The attestation document, raw. */
  attestation: (bytes: Uint8Array): Result<Uint8Array> =>
    parseResponse(
      bytes,
      'Attestation',
      (fields) => bytesOf(fields.get('document'), 1, MAX_NSM_RESPONSE_BYTES) ?? undefined,
    ),
  random: (bytes: Uint8Array): Result<Uint8Array> =>
    parseResponse(
      bytes,
      'GetRandom',
      (fields) => bytesOf(fields.get('random'), 1, MAX_RANDOM_BYTES) ?? undefined,
    ),
} as const;

function readDescription(fields: CborMap): NsmDescription | undefined {
  const versions = ['version_major', 'version_minor', 'version_patch'].map((key) =>
    fields.get(key),
  );
  const moduleId = fields.get('module_id');
  const maxPcrs = fields.get('max_pcrs');
  const lockedPcrs = fields.get('locked_pcrs');
  if (!versions.every(isU16) || fields.get('digest') !== 'SHA384') return undefined;
  if (typeof moduleId !== 'string' || !/^[!-~]{1,128}$/u.test(moduleId)) return undefined;
  // Fewer registers than expected would leave PCR16 out; more would leave some unlocked.
  if (maxPcrs !== PCR_COUNT || !Array.isArray(lockedPcrs)) return undefined;
  const locked = lockedPcrs as readonly CborValue[];
  if (locked.length > PCR_COUNT || !locked.every(isU16)) return undefined;
  return { version: versions.join('.'), moduleId, maxPcrs, lockedPcrs: locked };
}
