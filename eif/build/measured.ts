// The measured manifest of an image and the TLS roots beside it, from the files that a builder gives. These
// files are no secrets: whoever has them and the repository builds the same image.

import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { concatBytes, toHex } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { MeasuredHost, MeasuredManifest, MeasuredStrategy } from '../../wire/manifest.ts';
import { parseManifest } from '../../wire/manifest.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

export interface MeasuredFiles {
  /** What `trackseal strategy pack` wrote as commitment.json. */
  readonly commitments: readonly string[];
  /** PEM of a P-256 public key. */
  readonly owner: string | null;
  /** JSON {hosts: [{host, port, tls_name?}], roots: [names of certificates in ca-certificates]}. */
  readonly hosts: string | null;
}

export interface Measured {
  readonly manifest: Uint8Array;
  /** PEM, in the order of the names; empty without roots. */
  readonly roots: Uint8Array;
}

const MAX_FILE_BYTES: number = 64 * 1024;
const CERTIFICATES = 'usr/share/ca-certificates/mozilla';

const commitmentSchema: z.ZodType<MeasuredStrategy> = z.strictObject({
  name: z.string(),
  version: z.string(),
  commitment: z.string(),
});

interface HostsFile {
  readonly hosts: readonly MeasuredHost[];
  readonly roots: readonly string[];
}

const hostsSchema: z.ZodType<HostsFile> = z.strictObject({
  hosts: z
    .array(z.strictObject({ host: z.string(), port: z.int(), tls_name: z.string().optional() }))
    .min(1),
  roots: z.array(z.string().regex(/^[A-Za-z0-9_.\-()]{1,120}\.crt$/u)).min(1),
});

async function readBounded(path: string): Promise<Result<Uint8Array>> {
  try {
    const data = new Uint8Array(await readFile(path));
    if (data.length > MAX_FILE_BYTES)
      return refuse('file_unreadable', { path, bytes: data.length });
    return accept(data);
  } catch {
    return refuse('file_unreadable', { path });
  }
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<Result<T>> {
  const data = await readBounded(path);
  if (!data.ok) return data;
  try {
    const parsed = schema.safeParse(JSON.parse(Buffer.from(data.value).toString('utf8')));
    if (parsed.success) return accept(parsed.data);
    return refuse('json_malformed', {
      file: path,
      field: parsed.error.issues[0]?.path.join('.') ?? '',
    });
  } catch {
    return refuse('json_malformed', { file: path });
  }
}

/** The SPKI in DER, hex: parsed and written again, so that one key has one form. */
async function readOwner(path: string): Promise<Result<string>> {
  const data = await readBounded(path);
  if (!data.ok) return data;
  try {
    const key = createPublicKey({ key: Buffer.from(data.value), format: 'pem' });
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') {
      return accept(toHex(new Uint8Array(key.export({ type: 'spki', format: 'der' }))));
    }
  } catch {
    // Not a key at all.
  }
  return refuse('usage_invalid', { what: '--owner takes a P-256 public key in PEM', path });
}

async function readRoots(folder: string, names: readonly string[]): Promise<Result<Uint8Array>> {
  const parts: Uint8Array[] = [];
  for (const name of [...new Set(names)].sort()) {
    const part = await readBounded(join(folder, CERTIFICATES, name));
    if (!part.ok) return refuse('input_missing', { root: name, package: 'ca-certificates' });
    parts.push(part.value);
  }
  return accept(concatBytes(...parts));
}

function keyOf({ name, version, commitment }: MeasuredStrategy): string {
  return JSON.stringify([name, version, commitment]);
}

/** `packages`: the folder with Debian's ca-certificates. Refuses what is not as `MeasuredFiles` says. */
export async function measuredOf(
  files: MeasuredFiles,
  packages: string,
): Promise<Result<Measured>> {
  const strategies: MeasuredStrategy[] = [];
  for (const path of files.commitments) {
    const one = await readJson(path, commitmentSchema);
    if (!one.ok) return one;
    const { name, version, commitment } = one.value;
    strategies.push({ name, version, commitment });
  }
  const nothing: HostsFile = { hosts: [], roots: [] };
  const hosts = files.hosts === null ? accept(nothing) : await readJson(files.hosts, hostsSchema);
  if (!hosts.ok) return hosts;
  const owner = files.owner === null ? accept(null) : await readOwner(files.owner);
  if (!owner.ok) return owner;
  const roots = await readRoots(packages, hosts.value.roots);
  if (!roots.ok) return roots;
  const manifest: MeasuredManifest = {
    version: 2,
    // The order of the options says nothing.
    strategies: strategies.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
    owner_key: owner.value,
    hosts: hosts.value.hosts,
    roots_sha256: toHex(nodeCrypto.sha256(roots.value)),
  };
  const bytes = canonicalJson(manifest);
  // The enclave must be able to read it.
  const read = parseManifest(bytes);
  if (!read.ok) return refuse('usage_invalid', { what: 'a commitment or a host is malformed' });
  return accept({ manifest: bytes, roots: roots.value });
}
