// The way out, port 7002: TLS to hosts that the image has measured, over streams that the host opens. TLS ends
// here and trusts roots.pem of the image alone, or those of it that the manifest gives the host, so that whoever carries the bytes can end or delay them and
// nothing else. Certificates are judged by the guest's clock, and revocation is not looked at.

import { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { connect as connectTls, createSecureContext } from 'node:tls';
import type { SecureContext, TLSSocket } from 'node:tls';
import { equalBytes, parseHex, toHex } from '../wire/bytes.ts';
import type { RefusalCode } from '../wire/codes.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import { encodeFrame, FrameDecoder } from '../wire/frame.ts';
import { encodeDial, MAX_DIALED_BYTES, parseDialed } from '../wire/kms-frames.ts';
import type { MeasuredHost, MeasuredManifest } from '../wire/manifest.ts';
import { FRAME, PORT } from '../wire/enclave-messages.ts';
import { SlicedStream } from '../wire/node/sliced-stream.ts';
import type { Transport } from '../wire/node/transport.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { Fatal } from './fatal.ts';

/** For the host's connection, and again for the handshake. */
const DIAL_MS = 10_000;
/** What a peer that is not there or gives up looks like; everything else is about its certificate. */
const NETWORK_ERRORS = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNREFUSED', 'ENOENT']);

/** Codes: `host_not_measured`, `egress_refused`, `tls_untrusted`. */
export class EgressError extends Fatal {}

function codeOf(error: unknown): RefusalCode {
  if (error instanceof EgressError) return error.code;
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return typeof code === 'string' && NETWORK_ERRORS.has(code) ? 'egress_refused' : 'tls_untrusted';
}

/** Runs `start` until it settles, the stream breaks or the time is up; ends the stream unless it resolves. */
async function within<T>(
  stream: Duplex,
  start: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const give = (): void => {
    reject(new EgressError('egress_refused'));
  };
  const timer = setTimeout(give, DIAL_MS);
  stream.on('error', reject);
  stream.on('close', give);
  try {
    start(resolve, reject);
    return await promise;
  } catch (error) {
    stream.destroy();
    throw new EgressError(codeOf(error));
  } finally {
    clearTimeout(timer);
    stream.off('error', reject);
    stream.off('close', give);
  }
}

/** Sends DIAL and waits for DIALED; what comes next are the bytes of the connection. */
async function dial(
  stream: Duplex,
  { host, port }: Pick<MeasuredHost, 'host' | 'port'>,
): Promise<void> {
  const decoder = new FrameDecoder({
    maxPayloadBytes: new Map([[FRAME.dialed, MAX_DIALED_BYTES]]),
  });
  await within<null>(stream, (resolve, reject) => {
    stream.on('end', () => {
      reject(new EgressError('egress_refused'));
    });
    const take = (chunk: Uint8Array): void => {
      const { frames, refusal } = decoder.push(chunk);
      if (frames.length === 0 && refusal === null) return;
      stream.off('data', take);
      stream.pause();
      const dialed = parseDialed(frames[0]?.payload ?? new Uint8Array(0));
      // Neither a TLS server nor PostgreSQL speaks first: bytes after the frame are the host's own.
      const clean = refusal === null && frames.length === 1 && !decoder.partial;
      if (clean && dialed.ok && dialed.value === null) resolve(null);
      else reject(new EgressError('egress_refused'));
    };
    stream.on('data', take);
    stream.write(encodeFrame(FRAME.dial, encodeDial({ host, port })));
  });
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/gu;

/** Without `ca`, OpenSSL's own roots would count. */
function contextOf(ca: string): SecureContext {
  return createSecureContext({ ca: ca === '' ? [] : ca, minVersion: 'TLSv1.2' });
}

/** The certificates of the file whose hashes are in `chosen`; null when one of them is not in it. */
function chooseRoots(
  crypto: WireCrypto,
  pem: string,
  chosen: readonly string[],
): SecureContext | null {
  const byHash = new Map<string, string>();
  for (const [certificate] of pem.matchAll(PEM_CERTIFICATE)) {
    byHash.set(toHex(crypto.sha256(new X509Certificate(certificate).raw)), certificate);
  }
  const found = chosen.map((hash) => byHash.get(hash));
  return found.includes(undefined) ? null : contextOf(found.join('\n'));
}

export class Egress {
  readonly #transport: Transport;
  /** With the roots that count for each. */
  readonly #hosts: ReadonlyMap<MeasuredHost, SecureContext>;

  private constructor(transport: Transport, hosts: ReadonlyMap<MeasuredHost, SecureContext>) {
    this.#transport = transport;
    this.#hosts = hosts;
  }

  /** `roots` is the PEM file that the image has measured. Refuses `roots_mismatch`. */
  static open(
    crypto: WireCrypto,
    transport: Transport,
    manifest: Pick<MeasuredManifest, 'hosts' | 'roots_sha256'>,
    roots: Uint8Array,
  ): Result<Egress> {
    const expected = parseHex(manifest.roots_sha256);
    if (expected === null || !equalBytes(crypto.sha256(roots), expected)) {
      return refuse('roots_mismatch');
    }
    const pem = Buffer.from(roots).toString('latin1');
    const all = contextOf(pem);
    const hosts = new Map<MeasuredHost, SecureContext>();
    for (const host of manifest.hosts) {
      const context = host.roots === undefined ? all : chooseRoots(crypto, pem, host.roots);
      if (context === null) return refuse('roots_mismatch', { host: host.host });
      hosts.set(host, context);
    }
    return accept(new Egress(transport, hosts));
  }

  /** The name that the certificate of `host` must have; null for one that is not measured. */
  tlsNameOf(host: string, port: number): string | null {
    const entry = this.#lookUp(host, port);
    return entry === undefined ? null : (entry[0].tls_name ?? host);
  }

  /** Resolves after the handshake, with the peer's certificate verified. Rejects with an EgressError. */
  async connect(host: string, port: number): Promise<TLSSocket> {
    const entry = this.#lookUp(host, port);
    if (entry === undefined) throw new EgressError('host_not_measured');
    const [measured, secureContext] = entry;
    const stream = await this.#open();
    await dial(stream, measured);
    const socket = connectTls({
      socket: new SlicedStream(stream, { allowHalfOpen: true }),
      secureContext,
      servername: measured.tls_name ?? host,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: true,
    });
    // Whoever gets the socket has its own handlers; between two of them nothing may be thrown.
    socket.on('error', () => undefined);
    return within(socket, (resolve) => {
      socket.once('secureConnect', () => {
        resolve(socket);
      });
    });
  }

  /**
   * The bytes of a connection to the configured database, whose TLS ends elsewhere. Only the host's `egress.allow` and what
   * the caller checks of the other end stand behind it. Rejects with an EgressError.
   */
  async dial(database: Pick<MeasuredHost, 'host' | 'port'> | null): Promise<Duplex> {
    if (database === null) throw new EgressError('host_not_measured');
    const stream = await this.#open();
    await dial(stream, database);
    return new SlicedStream(stream, { allowHalfOpen: true });
  }

  async #open(): Promise<Duplex> {
    try {
      return await this.#transport.connect(PORT.egress);
    } catch {
      throw new EgressError('egress_refused');
    }
  }

  #lookUp(host: string, port: number): [MeasuredHost, SecureContext] | undefined {
    return [...this.#hosts].find(([one]) => one.host === host && one.port === port);
  }
}
