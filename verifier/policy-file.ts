// The policy file of an LP: what nitro-cli prints after a build, with optional additions. It is trusted,
// but parsed strictly: a misspelt key that was skipped would be a check that silently does not happen.
//
//   { "Measurements": { "HashAlgorithm": "Sha384 { ... }", "PCR0": hex, "PCR1": hex, "PCR2": hex,
//                       "PCR3" | "PCR4" | "PCR8": hex },
//     "images": [ further measurements, the same; for an upgrade window ],
//     "config_digest": hex (32), "origin": an origin, or a log id for all its epochs,
//     "owner_key": base64 SPKI, "release_key": base64 SPKI, "root": SHA-256 of the root certificate, hex }
//
// At least one image, or a release key whose signed list names them.

import * as z from 'zod';
import type { ImagePcrs } from '../wire/attestation/policy.ts';
import { parseBase64, parseHex, toHex } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

export const MAX_POLICY_BYTES: number = 64 * 1024;
const MAX_MESSAGE_CHARACTERS = 200;
const MAX_IMAGES = 16;

export interface PolicyFile {
  /** Each is allowed; empty only where a release key's list names them. */
  readonly images: readonly ImagePcrs[];
  readonly configDigest?: Uint8Array;
  readonly origin?: string;
  /** The key that signs sealed items; nothing checks it in this version. */
  readonly ownerKey?: Uint8Array;
  /** The key that signs lists of measurements: P-256, SPKI. */
  readonly releaseKey?: Uint8Array;
  /** SHA-256 of the root certificate that must be in use, lower-case hex. */
  readonly rootSha256?: string;
}

/** Hex of either case, of exactly this many bytes. */
function hexBytes(bytes: number): z.ZodType<Uint8Array> {
  return z.string().transform((text, context) => {
    const value = parseHex(text.toLowerCase());
    if (value !== null && value.length === bytes) return value;
    context.addIssue({ code: 'custom', message: `not ${bytes} bytes of hex` });
    return z.NEVER;
  });
}

const spki = z.string().transform((text, context) => {
  const value = parseBase64(text);
  if (value !== null && value.length > 0 && value.length <= 1024) return value;
  context.addIssue({ code: 'custom', message: 'not base64 of a public key' });
  return z.NEVER;
});

const pcr = hexBytes(48);

const measurements = z.strictObject({
  HashAlgorithm: z.string().regex(/^Sha384\b/u),
  PCR0: pcr,
  PCR1: pcr,
  PCR2: pcr,
  PCR3: pcr.optional(),
  PCR4: pcr.optional(),
  PCR8: pcr.optional(),
});

const schema = z.strictObject({
  Measurements: measurements.optional(),
  images: z.array(measurements).min(1).max(MAX_IMAGES).optional(),
  config_digest: hexBytes(32).optional(),
  origin: z
    .string()
    .regex(/^[!-~]{1,96}$/u)
    .optional(),
  owner_key: spki.optional(),
  release_key: spki.optional(),
  root: hexBytes(32).optional(),
});

/** A message may name keys of the file, which may hold whatever moves a terminal's cursor. */
function printable(text: string): string {
  return text.slice(0, MAX_MESSAGE_CHARACTERS).replaceAll(/[^ -~]/gu, '?');
}

export function parsePolicyFile(text: string): Result<PolicyFile> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return refuse('policy_malformed', { what: 'not JSON' });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = printable(issue?.path.join('.') ?? '');
    return refuse('policy_malformed', { field, what: printable(issue?.message ?? 'invalid') });
  }
  const {
    Measurements,
    images = [],
    config_digest,
    origin,
    owner_key,
    release_key,
    root,
  } = parsed.data;
  const measured = [...(Measurements === undefined ? [] : [Measurements]), ...images];
  if (measured.length === 0 && release_key === undefined) {
    return refuse('policy_malformed', { field: 'Measurements', what: 'no image is allowed' });
  }
  return accept({
    images: measured.map((image) => imageOf(image)),
    ...(config_digest === undefined ? {} : { configDigest: config_digest }),
    ...(origin === undefined ? {} : { origin }),
    ...(owner_key === undefined ? {} : { ownerKey: owner_key }),
    ...(release_key === undefined ? {} : { releaseKey: release_key }),
    ...(root === undefined ? {} : { rootSha256: toHex(root) }),
  });
}

function imageOf({ PCR0, PCR1, PCR2, PCR3, PCR4, PCR8 }: z.infer<typeof measurements>): ImagePcrs {
  const others = new Map<number, Uint8Array>();
  for (const [index, value] of [
    [3, PCR3],
    [4, PCR4],
    [8, PCR8],
  ] as const) {
    if (value !== undefined) others.set(index, value);
  }
  return { pcr0: PCR0, pcr1: PCR1, pcr2: PCR2, others };
}
