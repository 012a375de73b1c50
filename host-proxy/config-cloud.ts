// The parts of the host's configuration file that are about AWS and about watching: the enclave's way out,
// credentials, sealed items, metrics.

import { isIP } from 'node:net';
import { z } from 'zod';
import { DNS_NAME } from '../wire/configuration.ts';
import { MAX_SEALED_ITEMS } from '../wire/sealed.ts';
import type { CredentialsSourceName } from './credentials/source.ts';
import { CREDENTIALS_SOURCES } from './credentials/source.ts';
import type { EgressTarget } from './egress/egress.ts';

export interface CloudConfig {
  /** Null: the enclave has no way out. */
  readonly egress: {
    readonly allow: readonly EgressTarget[];
    readonly max_connections: number;
    readonly connect_ms: number;
    readonly first_byte_ms: number;
    readonly idle_ms: number;
  } | null;
  /** Null: the enclave gets none. */
  readonly credentials: {
    readonly source: CredentialsSourceName;
    readonly refresh_before_ms: number;
  } | null;
  /** Files of `trackseal seal`. */
  readonly sealed: readonly string[];
  /** Null: none are served. */
  readonly metrics: { readonly host: string; readonly port: number } | null;
}

const ms = z.int().min(1).max(86_400_000);

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** `127.0.0.1:4711`, `[::1]:4711` or `name:4711`. */
const address = z.string().transform((text, context): EgressTarget['address'] => {
  const [, bracketed, plain, digits] =
    /^(?:\[([0-9a-f:.]+)\]|([^:]+)):(\d{1,5})$/u.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port };
  context.addIssue({ code: 'custom', message: 'not an address like "127.0.0.1:4711"' });
  return z.NEVER;
});

export const cloudShape: { readonly [K in keyof CloudConfig]: z.ZodType<CloudConfig[K]> } = {
  egress: z
    .strictObject({
      allow: z
        .array(
          z.strictObject({
            host: z.string().regex(DNS_NAME),
            port: z.int().min(1).max(65_535),
            address: address.nullable().default(null),
          }),
        )
        .max(256),
      max_connections: z.int().min(1).max(1024).default(64),
      connect_ms: ms.default(10_000),
      first_byte_ms: ms.default(30_000),
      idle_ms: ms.default(300_000),
    })
    .nullable()
    .default(null),
  credentials: z
    .strictObject({
      source: z.enum(CREDENTIALS_SOURCES),
      refresh_before_ms: ms.default(900_000),
    })
    .nullable()
    .default(null),
  sealed: z.array(z.string().min(1).max(4096)).max(MAX_SEALED_ITEMS).default([]),
  metrics: z
    .strictObject({
      host: z.string().min(1).max(255).default('127.0.0.1'),
      port: z.int().min(0).max(65_535),
      /** What is served says how much is traded and when: to others only when it is said so. */
      remote: z.boolean().default(false),
    })
    .refine(({ host, remote }) => remote || isLoopback(host), {
      path: ['host'],
      message: 'metrics are for this machine: a loopback address, or say `"remote": true`',
    })
    .nullable()
    .default(null),
};
