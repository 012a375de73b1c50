// A published list of images: their measurements, what is new in them, and which were taken back. The
// release key signs it; a counter orders the lists, so that an old one cannot hide a revocation from
// somebody who has seen a newer one (memory.ts). Comes from anywhere: hostile until the signature verifies.
//
//   canonical JSON { "list": { "format", "counter", "issued", "images": [...] }, "signature": base64 }
//   signature = ECDSA P-256 with SHA-256, DER, over "trackseal/measurements/v1" ‖ 0x00 ‖ canonical JSON of list

import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { z } from 'zod';
import type { AttestationPolicy, ImagePcrs } from '../../wire/attestation/policy.ts';
import {
  concatBytes,
  equalBytes,
  isZero,
  parseBase64,
  parseHex,
  parseUtf8,
  toBase64,
  toHex,
  utf8,
} from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

export const MAX_LIST_BYTES: number = 1024 * 1024;
const MAX_IMAGES = 1024;
const FORMAT = 'trackseal/measurements/v1';
const DOMAIN = concatBytes(utf8(FORMAT), Uint8Array.of(0));
const MAX_MESSAGE_CHARACTERS = 200;

export type ImageStatus = 'allowed' | 'revoked';

export interface ListedImage {
  readonly name: string;
  /** 96 lower-case hex digits each. */
  readonly pcr0: string;
  readonly pcr1: string;
  readonly pcr2: string;
  readonly status: ImageStatus;
  /** What is new in it, or why it was taken back. */
  readonly note: string;
}

export interface MeasurementsList {
  readonly format: typeof FORMAT;
  /** Never decreases from list to list. */
  readonly counter: number;
  /** A day, for people: nothing is decided by it. */
  readonly issued: string;
  readonly images: readonly ListedImage[];
}

/** A list whose signature verified under the release key of a policy. */
export interface VerifiedList {
  readonly list: MeasurementsList;
  /** SHA-256 of the signed JSON, hex. */
  readonly sha256: string;
  /** SHA-256 of the release key's SPKI, hex. */
  readonly releaseKey: string;
}

const pcr = z
  .string()
  .regex(/^[0-9a-f]{96}$/u)
  .refine((hex) => !isZero(parseHex(hex) ?? new Uint8Array(1)), 'zero: debug mode');
/** Printed to terminals and into verdicts. */
const text = z.string().regex(/^[ -~]{0,200}$/u);

const listSchema: z.ZodType<MeasurementsList> = z.strictObject({
  format: z.literal(FORMAT),
  counter: z.int().min(1),
  issued: z.iso.date(),
  images: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[!-~]{1,64}$/u),
        pcr0: pcr,
        pcr1: pcr,
        pcr2: pcr,
        status: z.enum(['allowed', 'revoked']),
        note: text,
      }),
    )
    .min(1)
    .max(MAX_IMAGES)
    .refine((images) => new Set(images.map(({ pcr0 }) => pcr0)).size === images.length, {
      message: 'an image is there twice',
    }),
});
const fileSchema = z.strictObject({ list: listSchema, signature: z.string().max(256) });

function parseJson(bytes: Uint8Array): unknown {
  const json = bytes.length > MAX_LIST_BYTES ? null : parseUtf8(bytes);
  try {
    return json === null ? null : JSON.parse(json);
  } catch {
    return null;
  }
}

/** A message may name keys of the file. */
function clean(message: string): string {
  return message.slice(0, MAX_MESSAGE_CHARACTERS).replaceAll(/[^ -~]/gu, '?');
}

function malformed(issue: z.core.$ZodIssue | undefined): Result<never> {
  const field = clean(issue?.path.join('.') ?? '');
  return refuse('measurements_malformed', { field, what: clean(issue?.message ?? 'not JSON') });
}

/** The list that somebody wrote and nobody has signed yet: any JSON of the right shape. */
export function parseUnsignedList(bytes: Uint8Array): Result<MeasurementsList> {
  const parsed = listSchema.safeParse(parseJson(bytes));
  return parsed.success ? accept(parsed.data) : malformed(parsed.error.issues[0]);
}

/** `releaseKey` is the DER of a P-256 SPKI, from the verifier's own policy. */
export function verifyMeasurements(
  crypto: WireCrypto,
  bytes: Uint8Array,
  releaseKey: Uint8Array,
): Result<VerifiedList> {
  const json = parseJson(bytes);
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) return malformed(parsed.error.issues[0]);
  // Not canonical: two readers of one file could see two lists.
  if (!equalBytes(canonicalJson(json), bytes)) {
    return refuse('measurements_malformed', { what: 'not in canonical form' });
  }
  const { list, signature } = parsed.data;
  const signed = canonicalJson(list);
  const der = parseBase64(signature);
  if (der === null || !crypto.verifyP256Der(releaseKey, concatBytes(DOMAIN, signed), der)) {
    return refuse('measurements_signature', { counter: list.counter });
  }
  return accept({
    list,
    sha256: toHex(crypto.sha256(signed)),
    releaseKey: toHex(crypto.sha256(releaseKey)),
  });
}

export interface SignedMeasurements {
  readonly file: Uint8Array;
  /** For `release_key` of a policy: base64 of the SPKI. */
  readonly releaseKey: string;
}

/** `keyPem`: a P-256 private key. Null for any other. */
export function signMeasurements(
  list: MeasurementsList,
  keyPem: string,
): SignedMeasurements | null {
  try {
    const key = createPrivateKey(keyPem);
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return null;
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
    const signature = sign('sha256', concatBytes(DOMAIN, canonicalJson(list)), key);
    return {
      file: canonicalJson({ list, signature: toBase64(new Uint8Array(signature)) }),
      releaseKey: toBase64(new Uint8Array(spki)),
    };
  } catch {
    return null;
  }
}

/** Hex that the schema has checked. */
function fromHex(hex: string): Uint8Array {
  return parseHex(hex) ?? new Uint8Array();
}

function pcrsOf({ pcr0, pcr1, pcr2 }: ListedImage): ImagePcrs {
  return { pcr0: fromHex(pcr0), pcr1: fromHex(pcr1), pcr2: fromHex(pcr2) };
}

/** What the list adds to a policy that names its release key. */
export function policyOfList({
  images,
}: MeasurementsList): Required<Pick<AttestationPolicy, 'alternatives' | 'revoked'>> {
  const revoked = images.filter(({ status }) => status === 'revoked');
  return {
    alternatives: images.filter(({ status }) => status === 'allowed').map(pcrsOf),
    revoked: revoked.map((image) => ({ pcr0: pcrsOf(image).pcr0, note: image.note })),
  };
}
