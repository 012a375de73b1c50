// The measured manifest of an image and the TLS roots beside it, from the files that a builder gives. These
// files are no secrets: whoever has them and the repository builds the same image.

import { createPublicKey, X509Certificate } from 'node:crypto';
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
  /** JSON {hosts: [{host, port, tls_name?, roots?}], roots: [names of certificates in ca-certificates]}. */
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

/** `roots` are names, of those that the file has for all. */
interface HostsFile {
  readonly hosts: readonly MeasuredHost[];
  readonly roots: readonly string[];
}

const rootNames = z.array(z.string().regex(/^[A-Za-z0-9_.\-()]{1,120}\.crt$/u)).min(1);
const hostsSchema: z.ZodType<HostsFile> = z.strictObject({
  hosts: z
    .array(
      z.strictObject({
        host: z.string(),
        port: z.int(),
        tls_name: z.string().optional(),
        roots: rootNames.optional(),
      }),
    )
    .min(1),
  roots: rootNames,
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

interface Roots {
  readonly pem: Uint8Array;
  readonly byName: ReadonlyMap<string, Uint8Array>;
}

async function readRoots(folder: string, names: readonly string[]): Promise<Result<Roots>> {
  const parts: Uint8Array[] = [];
  const byName = new Map<string, Uint8Array>();
  for (const name of [...new Set(names)].sort()) {
    const part = await readBounded(join(folder, CERTIFICATES, name));
    if (!part.ok) return refuse('input_missing', { root: name, package: 'ca-certificates' });
    parts.push(part.value);
    byName.set(name, part.value);
  }
  return accept({ pem: concatBytes(...parts), byName });
}

/** The host with hashes (SHA-256 of DER, hex) in place of names; refuses a name that the file does not have for all. */
function withRoots(host: MeasuredHost, { byName }: Roots): Result<MeasuredHost> {
  if (host.roots === undefined) return accept(host);
  const hashes: string[] = [];
  for (const name of host.roots) {
    const pem = byName.get(name);
    if (pem === undefined) {
      return refuse('usage_invalid', { what: 'a root of a host is not in roots', root: name });
    }
    hashes.push(toHex(nodeCrypto.sha256(new X509Certificate(pem).raw)));
  }
  return accept({ ...host, roots: hashes });
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
  const measuredHosts: MeasuredHost[] = [];
  for (const host of hosts.value.hosts) {
    const measured = withRoots(host, roots.value);
    if (!measured.ok) return measured;
    measuredHosts.push(measured.value);
  }
  const manifest: MeasuredManifest = {
    version: 2,
    // The order of the options says nothing.
    strategies: strategies.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
    owner_key: owner.value,
    hosts: measuredHosts,
    roots_sha256: toHex(nodeCrypto.sha256(roots.value.pem)),
  };
  const bytes = canonicalJson(manifest);
  // The enclave must be able to read it.
  const read = parseManifest(bytes);
  if (!read.ok) return refuse('usage_invalid', { what: 'a commitment or a host is malformed' });
  return accept({ manifest: bytes, roots: roots.value.pem });
}
