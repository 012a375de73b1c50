// `ship` of the host's configuration file: where the log goes beside the log folder, for how long it is
// locked there, and how much may wait for it.

import { z } from 'zod';
import type { Configuration } from '../../wire/configuration.ts';
import { isObjectKey } from '../../wire/host-keys.ts';
import type { Refusal } from '../../wire/result.ts';

const path = z.string().min(1).max(4096);
const ms = z.int().min(1).max(86_400_000);
const prefix = z.string().refine((text) => text === '' || isObjectKey(text), {
  message: 'not parts of letters, digits, ".", "_" and "-" between slashes',
});

export interface S3Target {
  /** Null: AWS's own for the region. */
  readonly endpoint: string | null;
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
  /** PEM file of the only roots that its TLS may have; null: those of the system. */
  readonly ca: string | null;
  /** Twelve digits. */
  readonly expected_bucket_owner: string | null;
}

export interface ShipConfig {
  readonly target: { readonly s3: S3Target } | { readonly folder: string };
  readonly retention_days: number;
  /** Between two checkpoints of a running epoch. */
  readonly checkpoint_ms: number;
  /** Commits that the store does not have; beyond it acknowledgements wait. */
  readonly max_unshipped_bytes: number;
  /** A group of commits is closed with this many bytes, or this long after its first commit. */
  readonly group_bytes: number;
  readonly group_ms: number;
  /** The longest pause between two attempts. */
  readonly max_pause_ms: number;
  /** How long a host that ends waits until all is shipped. */
  readonly finish_ms: number;
}

export const shipSchema: z.ZodType<ShipConfig | null> = z
  .strictObject({
    target: z.union([
      z.strictObject({
        s3: z.strictObject({
          endpoint: z
            .url({ protocol: /^https?$/u })
            .nullable()
            .default(null),
          region: z.string().regex(/^[a-z0-9-]{1,64}$/u),
          bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/u),
          prefix,
          ca: path.nullable().default(null),
          expected_bucket_owner: z
            .string()
            .regex(/^\d{12}$/u)
            .nullable()
            .default(null),
        }),
      }),
      z.strictObject({ folder: path }),
    ]),
    retention_days: z.int().min(1).max(36_500),
    checkpoint_ms: ms.default(60_000),
    max_unshipped_bytes: z
      .int()
      .min(64 * 1024)
      .default(1024 * 1024 * 1024),
    group_bytes: z
      .int()
      .min(1)
      .max(4 * 1024 * 1024)
      .default(1024 * 1024),
    group_ms: ms.default(1000),
    max_pause_ms: ms.default(30_000),
    finish_ms: ms.default(60_000),
  })
  .nullable()
  .default(null);

/** Paths in it are relative to the configuration file. */
export function withAbsoluteShipPaths(
  ship: ShipConfig | null,
  absolute: (name: string) => string,
): ShipConfig | null {
  if (ship === null) return null;
  const { target } = ship;
  if ('folder' in target) return { ...ship, target: { folder: absolute(target.folder) } };
  const { s3 } = target;
  return { ...ship, target: { s3: { ...s3, ca: s3.ca === null ? null : absolute(s3.ca) } } };
}

/** With commit policy `s3` enclave and shipper write to the same place, for as long; null when they do. */
export function findShipMistake(
  ship: ShipConfig | null,
  { commit_policy: policy, s3 }: Pick<Configuration, 'commit_policy' | 's3'>,
): Refusal | null {
  if (policy !== 's3') return null;
  const target = ship !== null && 's3' in ship.target ? ship.target.s3 : null;
  for (const field of ['region', 'bucket', 'prefix'] as const) {
    const configured = s3?.[field] ?? '';
    if (target?.[field] === configured) continue;
    const detail = { field: `ship.target.s3.${field}`, expected: configured };
    return { code: 'config_invalid', detail };
  }
  // What the enclave locks for less would be a finding of the shipper.
  const expected = s3?.retention_days ?? 0;
  if (ship?.retention_days === expected) return null;
  return { code: 'config_invalid', detail: { field: 'ship.retention_days', expected } };
}
