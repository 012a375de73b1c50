// Port 50051: mutual TLS ends here, the clear bytes go to the ledger with the SHA-256 of the client's certificate. Nobody
// gets beyond the handshake without a certificate that the owner's sealed CA vouches for now; HTTP/2 is not looked at. Who
// has one can hold a few connections for an hour. Each connection is in the log; those that were refused are counted there.

import { constants, createHash, X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions, Server, TLSSocket } from 'node:tls';
import { createServer } from 'node:tls';
import { parseUtf8, toHex } from '../../wire/bytes.ts';
import { PORT } from '../../wire/enclave-messages.ts';
import { SlicedStream } from '../../wire/node/sliced-stream.ts';
import type { Listener, Transport } from '../../wire/node/transport.ts';
import type { Guard } from '../fatal.ts';
import { Fatal } from '../fatal.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { TlsKey } from './keys.ts';
import { NamedWindows, SharedWindow } from './rate-windows.ts';

/** Those that shake hands, and all. */
const MAX_HANDSHAKES = 32;
const MAX_CONNECTIONS = 64;
const MAX_CONNECTIONS_PER_CLIENT = 8;
/** In a minute; each is a leaf of the log. */
const CONNECTIONS_PER_CLIENT = 30;
const CONNECTIONS_OF_ALL = 120;
const HANDSHAKE_MS = 10_000;
/** The ledger ends a connection at an hour and a tenth, at most, with a word to its client and 11.5 minutes for its syncs. */
const MAX_AGE_MS = 2 * 3_600_000;
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
];
const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----/gu;

export interface GrpcPortOptions {
  readonly guard: Guard;
  readonly key: TlsKey;
  /** PEM, the one that HTTPS shows. */
  readonly certificate: string;
  /** The sealed item: PEM certificates. */
  readonly clientCa: Uint8Array;
  /** Null while there is no ledger. */
  readonly openGrpc: (fingerprint: Uint8Array) => Duplex | null;
  readonly audit: Pick<AuditTrail, 'append' | 'clientRefused'>;
  readonly nowMs: () => number;
}

/** PEM of each authority. Throws a Fatal `seal_malformed` for an item without any, or with one that is none. */
export function parseClientCa(bytes: Uint8Array): readonly string[] {
  const blocks = parseUtf8(bytes)?.match(BLOCK) ?? [];
  try {
    if (blocks.length > 0) return blocks.map((block) => new X509Certificate(block).toString());
  } catch {
    // Below.
  }
  throw new Fatal('seal_malformed');
}

export class GrpcPort {
  readonly #options: GrpcPortOptions;
  readonly #server: Server;
  readonly #key: string;
  readonly #authorities: string[];
  readonly #streams = new Set<Duplex>();
  /** Beyond the handshake; the others shake hands. */
  readonly #shaken = new Set<TLSSocket>();
  readonly #clients = new Map<string, number>();
  readonly #ofClient = new NamedWindows(CONNECTIONS_PER_CLIENT);
  readonly #ofAll = new SharedWindow(CONNECTIONS_OF_ALL);
  readonly #counters = { mtls_accepted: 0, mtls_refused: 0, mtls_limited: 0, mtls_clients: 0 };
  #listener: Listener | null = null;

  constructor(options: GrpcPortOptions) {
    this.#options = options;
    this.#key = options.key.privateKey.export({ format: 'pem', type: 'pkcs8' });
    this.#authorities = [...parseClientCa(options.clientCa)];
    this.#server = createServer(
      {
        ...this.#context(options.certificate),
        requestCert: true,
        rejectUnauthorized: true,
        handshakeTimeout: HANDSHAKE_MS,
        ALPNProtocols: ['h2'],
      },
      (socket) => {
        void options.guard.runAsync(() => this.#admit(socket));
      },
    );
    this.#server.on('tlsClientError', () => {
      this.#refuse();
    });
  }

  get counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, mtls_open: this.#shaken.size };
  }

  /** Another certificate (chain, PEM) for the same key, from the next connection on. */
  replaceCertificate(chain: string): void {
    this.#server.setSecureContext(this.#context(chain));
  }

  async listen(transport: Transport): Promise<void> {
    this.#listener = await transport.listen(PORT.grpc, (stream) => {
      this.#accept(stream);
    });
  }

  async close(): Promise<void> {
    await this.#listener?.close();
    for (const stream of this.#streams) stream.destroy();
  }

  #context(cert: string): SecureContextOptions {
    return {
      key: this.#key,
      cert,
      ca: this.#authorities,
      minVersion: 'TLSv1.3',
      ciphers: CIPHERS.join(':'),
      honorCipherOrder: true,
      // Without tickets nothing is resumed: a certificate is looked at each time.
      secureOptions: constants.SSL_OP_NO_TICKET,
    };
  }

  #accept(stream: Duplex): void {
    stream.on('error', () => undefined);
    const shaking = this.#streams.size - this.#shaken.size;
    if (shaking >= MAX_HANDSHAKES || this.#streams.size >= MAX_CONNECTIONS) {
      this.#counters.mtls_limited++;
      stream.destroy();
      return;
    }
    this.#counters.mtls_accepted++;
    // HTTP/2 needs both mouths: who ends one side is gone, and gives up the place.
    const sliced = new SlicedStream(stream, { allowHalfOpen: false });
    this.#streams.add(sliced);
    sliced.on('error', () => undefined);
    sliced.on('close', () => {
      this.#streams.delete(sliced);
    });
    this.#server.emit('connection', sliced);
  }

  /** Its certificate has a chain to the sealed authorities; OpenSSL has looked at purpose, chain and its own clock. */
  async #admit(socket: TLSSocket): Promise<void> {
    socket.on('error', () => undefined);
    const certificate = socket.getPeerX509Certificate();
    const nowMs = this.#options.nowMs();
    if (certificate === undefined || !isValidAt(certificate, nowMs) || !isHttp2(socket)) {
      this.#refuse();
      socket.destroy();
      return;
    }
    const fingerprint = new Uint8Array(createHash('sha256').update(certificate.raw).digest());
    const client = toHex(fingerprint);
    if (!this.#hold(socket, client, nowMs)) {
      this.#counters.mtls_limited++;
      socket.destroy();
      return;
    }
    this.#counters.mtls_clients++;
    const leftMs = Math.min(MAX_AGE_MS, Date.parse(certificate.validTo) - nowMs);
    const timer = setTimeout(() => socket.destroy(), leftMs);
    socket.once('close', () => {
      clearTimeout(timer);
    });
    await this.#options.audit.append('clientConnected', { sessionHash: fingerprint });
    if (socket.destroyed) return;
    const ledger = this.#options.openGrpc(fingerprint);
    if (ledger === null) socket.destroy();
    else join(socket, ledger);
  }

  /** False: as many as it may have. */
  #hold(socket: TLSSocket, client: string, nowMs: number): boolean {
    const held = this.#clients.get(client) ?? 0;
    if (held >= MAX_CONNECTIONS_PER_CLIENT) return false;
    if (!this.#ofClient.take(client, nowMs).allowed || !this.#ofAll.take(nowMs).allowed)
      return false;
    this.#clients.set(client, held + 1);
    this.#shaken.add(socket);
    socket.once('close', () => {
      this.#shaken.delete(socket);
      const left = (this.#clients.get(client) ?? 1) - 1;
      if (left === 0) this.#clients.delete(client);
      else this.#clients.set(client, left);
    });
    return true;
  }

  #refuse(): void {
    this.#counters.mtls_refused++;
    this.#options.audit.clientRefused();
  }
}

/** Each waits for the other to read; the end of one is the end of both, after what is under way. */
function join(socket: TLSSocket, ledger: Duplex): void {
  ledger.on('error', () => undefined);
  socket.pipe(ledger);
  ledger.pipe(socket);
  socket.once('close', () => ledger.destroy());
  ledger.once('close', () => {
    if (!ledger.readableEnded) socket.destroy();
  });
}

/** By the enclave's clock, which is not the one that OpenSSL looks at. */
function isValidAt({ validFrom, validTo }: X509Certificate, nowMs: number): boolean {
  return Date.parse(validFrom) <= nowMs && nowMs < Date.parse(validTo);
}

function isHttp2(socket: TLSSocket): boolean {
  return socket.alpnProtocol === 'h2';
}
