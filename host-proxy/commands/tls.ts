// trackseal tls csr: the request for a certificate of a public authority for the running enclave's TLS key, and trackseal tls
// install: hands the certificate to it. The key lives one epoch: after a restart both are due again. The
// host is asked by a file in its state folder; that the enclave took it is seen on a connection.

import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { MAX_CERTIFICATE_CHAIN_BYTES } from '../../wire/desk-messages.ts';
import { parseTransport } from '../../wire/node/parse-transport.ts';
import type { Transport } from '../../wire/node/transport.ts';
import type { HostConfig } from '../config-file.ts';
import { writeDurably } from '../durable-file.ts';
import { askEnclave } from '../enclave-https.ts';
import { explain, failureOf, readConfig } from '../explain.ts';
import type { HostIo } from '../explain.ts';
import { makeDirectories, nodeFiles } from '../files.ts';
import { lockFolder } from '../folder-lock.ts';
import { CERTIFICATE_REQUEST, requestsDirectory } from '../requests.ts';

const CSR_USAGE = `usage: trackseal tls csr --config FILE [--json]

Prints the request (PEM) for a certificate of a public authority for the TLS key of the enclave that runs, for the
tls_names of its configuration. The key was made inside and never leaves: give the request to the authority, and its
answer to \`trackseal tls install\`. The key lives one epoch; after a restart of the enclave both are due again.

  --config FILE   the host's configuration
  --json          {"csr", "spki_sha256"} on stdout

Exit codes: 0 printed, 1 refused, 2 could not (no enclave runs).
`;

const INSTALL_USAGE = `usage: trackseal tls install CHAIN.pem --config FILE [--json]

Hands a certificate chain (PEM, the enclave's own first) to the enclave that runs, and waits until it is shown. The
enclave takes it only for its own TLS key, for names of its configuration, and when it is valid now; open connections stay open.
A renewed certificate for the same key is installed the same way.

  --config FILE     the host's configuration
  --timeout-ms N    how long it may take; default 20000
  --json            the answer as JSON on stdout

Exit codes: 0 shown by the enclave, 1 refused, 2 could not (no host or no enclave runs).
`;

const LOOK_EVERY_MS = 250;
const DEFAULT_TIMEOUT_MS = 20_000;

interface Options {
  readonly config: string;
  readonly chain: string | null;
  readonly timeoutMs: number;
  readonly json: boolean;
}

interface Scene {
  readonly config: HostConfig;
  readonly transport: Transport;
}

export async function runCsr(args: readonly string[], io: HostIo): Promise<number> {
  const scene = open(args, io, CSR_USAGE, 0);
  if (typeof scene === 'number') return scene;
  const { transport, options } = scene;
  const answer = await askEnclave(transport, '/tls/csr');
  if (!answer.ok) {
    explain(io, answer.refusal);
    return 2;
  }
  const { status, body, certificate } = answer.value;
  if (status !== 200 || !body.startsWith('-----BEGIN CERTIFICATE REQUEST-----')) {
    io.stderr(`the enclave has no request for its key (status ${status})\n`);
    return 1;
  }
  const spki = spkiHash(certificate);
  if (options.json) io.stdout(`${JSON.stringify({ csr: body, spki_sha256: spki })}\n`);
  else {
    io.stdout(body);
    io.stderr(`key ${spki}: \`trackseal attest\` shows the same as tls_key_hash\n`);
  }
  return 0;
}

export async function runInstall(args: readonly string[], io: HostIo): Promise<number> {
  const scene = open(args, io, INSTALL_USAGE, 1);
  if (typeof scene === 'number') return scene;
  const { config, transport, options } = scene;
  const chain = readChain(options.chain ?? '', io);
  if (chain === null) return 2;
  const now = await askEnclave(transport, '/health');
  if (!now.ok) {
    explain(io, now.refusal);
    return 2;
  }
  const { leaf } = chain;
  const shown = now.value.certificate;
  if (spkiHash(leaf) !== spkiHash(shown)) {
    io.stderr('the certificate is for another key than the enclave that runs has\n');
    io.stderr(`  expected  ${spkiHash(shown)}\n  got       ${spkiHash(leaf)}\n`);
    io.stderr('  next  the key lives one epoch: take `trackseal tls csr` again\n');
    return 1;
  }
  const lock = await lockFolder(config.state);
  if (lock !== null) {
    lock.close();
    io.stderr(`no host runs on ${config.state}: nobody would hand the certificate over\n`);
    return 2;
  }
  try {
    const directory = requestsDirectory(config.state);
    await makeDirectories(nodeFiles, directory);
    await writeDurably(nodeFiles, directory, CERTIFICATE_REQUEST, chain.bytes);
  } catch (error) {
    const failure = failureOf(error);
    if (failure === null) throw error;
    explain(io, failure);
    return 2;
  }
  return waitUntilShown(leaf, transport, options, io);
}

async function waitUntilShown(
  leaf: X509Certificate,
  transport: Transport,
  { timeoutMs, json }: Options,
  io: HostIo,
): Promise<number> {
  const end = performance.now() + timeoutMs;
  while (performance.now() < end) {
    const answer = await askEnclave(transport, '/health');
    if (answer.ok && answer.value.certificate.fingerprint256 === leaf.fingerprint256) {
      const facts = { names: leaf.subjectAltName ?? '', issuer: leaf.issuer, until: leaf.validTo };
      if (json) io.stdout(`${JSON.stringify({ installed: true, ...facts })}\n`);
      else io.stdout(`installed: ${facts.names}, by ${facts.issuer}, until ${facts.until}\n`);
      return 0;
    }
    await sleep(LOOK_EVERY_MS);
  }
  io.stderr('certificate_refused: the enclave does not show it\n');
  io.stderr(`  names  ${leaf.subjectAltName ?? 'none'}\n`);
  io.stderr(`  valid  ${leaf.validFrom} to ${leaf.validTo}\n`);
  io.stderr('  next  names must be of tls_names, the chain in order, and all of it valid now;\n');
  io.stderr('        `certificate_sent` in the log of the host says whether it got there\n');
  return 1;
}

function spkiHash({ publicKey }: X509Certificate): string {
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(spki).digest('hex');
}

function readChain(
  path: string,
  io: HostIo,
): { readonly bytes: Uint8Array; readonly leaf: X509Certificate } | null {
  try {
    const bytes = readFileSync(path);
    if (bytes.length <= MAX_CERTIFICATE_CHAIN_BYTES) {
      return { bytes: new Uint8Array(bytes), leaf: new X509Certificate(bytes) };
    }
    io.stderr(`${path}: more than ${MAX_CERTIFICATE_CHAIN_BYTES} bytes\n`);
  } catch {
    io.stderr(`${path}: not a certificate in PEM\n`);
  }
  return null;
}

/** The exit code when there is nothing more to do. */
function open(
  args: readonly string[],
  io: HostIo,
  usage: string,
  files: 0 | 1,
): (Scene & { readonly options: Options }) | number {
  if (args.includes('--help')) {
    io.stdout(usage);
    return 0;
  }
  const options = readOptions(args, files);
  if (options === null) {
    io.stderr(usage);
    return 2;
  }
  const config = readConfig(options.config, io);
  if (config === null) return 2;
  const parsed = parseTransport(config.transport, config.addon);
  if (parsed.ok) return { config, transport: parsed.transport, options };
  io.stderr(`${options.config}: transport: ${parsed.problem}\n`);
  return 2;
}

function readOptions(args: readonly string[], files: 0 | 1): Options | null {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        'timeout-ms': { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    });
    const { config, json } = values;
    const timeoutMs = Number(values['timeout-ms'] ?? DEFAULT_TIMEOUT_MS);
    if (config === undefined || positionals.length !== files) return null;
    if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1) return null;
    return { config, chain: positionals[0] ?? null, timeoutMs, json };
  } catch {
    return null;
  }
}
