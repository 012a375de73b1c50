// The measured manifest: what this image may run and whom it may talk to. It is part of the image, so PCR0
// pins it, and through the commitments the strategies. Canonical JSON, so that duplicate keys cannot hide.
//
//   {"version": 2, "strategies": [{"name", "version", "commitment": SHA-256(salt ‖ bundle), hex}],
//    "owner_key": SPKI of a P-256 key (DER, hex) or null, "hosts": [{"host", "port", "tls_name"?, "roots"?: [SHA-256]}],
//    "roots_sha256": of the file roots.pem beside it, hex}

import * as z from 'zod';
import { equalBytes, parseUtf8 } from './bytes.ts';
import { canonicalJson, DNS_NAME } from './configuration.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';

export const MAX_MANIFEST_BYTES: number = 64 * 1024;
/** SEC 1 and RFC 5480: a P-256 SPKI in DER up to the point, uncompressed. */
const P256_SPKI = /^3059301306072a8648ce3d020106082a8648ce3d03010703420004[0-9a-f]{128}$/u;

export interface MeasuredStrategy {
  readonly name: string;
  readonly version: string;
  readonly commitment: string;
}

export interface MeasuredHost {
  readonly host: string;
  readonly port: number;
  /** The name in the certificate, where it is not `host`. */
  readonly tls_name?: string | undefined;
  /** SHA-256 (hex) of the certificates of roots.pem that count for it; without it all of them do. */
  readonly roots?: readonly string[] | undefined;
}

export interface MeasuredManifest {
  readonly version: 2;
  readonly strategies: readonly MeasuredStrategy[];
  /** Of whoever may bring sealed items; null where nothing is sealed. */
  readonly owner_key: string | null;
  readonly hosts: readonly MeasuredHost[];
  readonly roots_sha256: string;
}

const sha256 = z.string().regex(/^[0-9a-f]{64}$/u);
const dnsName = z.string().regex(DNS_NAME);

const manifestSchema: z.ZodType<MeasuredManifest> = z.strictObject({
  version: z.literal(2),
  strategies: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(64),
        version: z.string().min(1).max(32),
        commitment: sha256,
      }),
    )
    .max(256),
  owner_key: z.string().regex(P256_SPKI).nullable(),
  hosts: z
    .array(
      z.strictObject({
        host: dnsName,
        port: z.int().min(1).max(65_535),
        tls_name: dnsName.optional(),
        roots: z.array(sha256).min(1).max(64).optional(),
      }),
    )
    .max(256)
    .refine(
      (hosts) => new Set(hosts.map((one) => `${one.host}:${one.port}`)).size === hosts.length,
    ),
  roots_sha256: sha256,
});

/** Refuses `json_malformed`: the image was built wrongly. */
export function parseManifest(bytes: Uint8Array): Result<MeasuredManifest> {
  const text = bytes.length > MAX_MANIFEST_BYTES ? null : parseUtf8(bytes);
  if (text === null) return refuse('json_malformed', { file: 'measured manifest' });
  try {
    const value: unknown = JSON.parse(text);
    const parsed = manifestSchema.safeParse(value);
    if (parsed.success && equalBytes(canonicalJson(value), bytes)) return accept(parsed.data);
  } catch {
    // Not JSON at all.
  }
  return refuse('json_malformed', { file: 'measured manifest' });
}
