// The part of the host's configuration file about sharing accounts with other hosts: the enclave runs while this host
// holds the lease of its share, and no other host's does.

import { z } from 'zod';

export interface ShareConfig {
  /** Hosts that say the same name run the enclave of the same accounts, one at a time. */
  readonly name: string;
  /** `postgres://host_worker@host:5432/database` */
  readonly url: string;
  /** Authority of the server (PEM); null: those that Node trusts. */
  readonly ca: string | null;
  readonly password_file: string | null;
  readonly lease_ms: number;
}

const path = z.string().min(1).max(4096);
/** From a lease that is lost to its end: `close_ms` and this. */
const MARGIN_MS = 5000;

export const shareSchema: z.ZodType<ShareConfig | null> = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9-]{1,64}$/u),
    url: z.string().min(1).max(2048),
    ca: path.nullable().default(null),
    password_file: path.nullable().default(null),
    lease_ms: z.int().min(10_000).max(3_600_000).multipleOf(1000).default(120_000),
  })
  .nullable()
  .default(null);

/** In words; null when an enclave can end before another host may begin. */
export function findShareMistake(share: ShareConfig | null, closeMs: number): string | null {
  if (share === null || share.lease_ms / 2 >= closeMs + MARGIN_MS) return null;
  const least = 2 * (closeMs + MARGIN_MS);
  return `share.lease_ms: at least ${least}, for the enclave to close (enclave.close_ms) in half of it`;
}
