// A gRPC channel that ends in the attested enclave. TLS 1.3 with the client's certificate; the peer's key has to be the one
// that the attestation names, for the first connection and each later one, before a byte of a call is sent. Names and issuers
// of its certificate are not looked at. What the peer answers is bounded and decoded here; its refusals are codes.

import { createHash, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, createSecureContext } from 'node:tls';
import type { PeerCertificate } from 'node:tls';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { ChannelOptions, ServiceError } from '@grpc/grpc-js';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import { isRefusalCode } from '../../wire/codes.ts';
import { RpcErrorInfoSchema, RpcStatusSchema } from '../../wire/grpc/messages.ts';
import { decodeMessage, encodeMessage } from '../../wire/grpc/protobuf.ts';
import type { GrpcMethod } from '../../wire/grpc/services.ts';
import type { RefusalDetail, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_STATUS_BYTES = 8 * 1024;

export const CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_channelz': 0,
  'grpc.enable_retries': 0,
  // A page is under way at once: the default of 64 KiB waits for a round trip each time.
  'grpc-node.flow_control_window': 1024 * 1024,
};

/** PEM: the certificate (with intermediates) under the enclave's client CA, and its key. */
export interface ClientIdentity {
  readonly certificate: string;
  readonly key: string;
}

export interface GrpcTarget extends ClientIdentity {
  readonly host: string;
  readonly port: number;
  /** Where the enclave has proved itself. */
  readonly https: { readonly host: string; readonly port: number };
  readonly timeoutMs: number;
}

function keyHash(certificate: X509Certificate): Uint8Array {
  const spki = certificate.publicKey.export({ format: 'der', type: 'spki' });
  return new Uint8Array(createHash('sha256').update(spki).digest());
}

/** `host:port` or `[v6]:port`; null for anything else. */
export function parseGrpcAddress(text: string): Pick<GrpcTarget, 'host' | 'port'> | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:/?#@\s]{1,253})):([0-9]{1,5})$/iu.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) return null;
  return { host, port };
}

interface Peer {
  readonly host: string;
  readonly port: number;
  readonly protocol: 'h2' | 'http/1.1';
  readonly timeoutMs: number;
}

/** The certificate that a peer shows, if its key is `pin`. Nothing is sent to it. */
async function showCertificate(
  { host, port, protocol, timeoutMs }: Peer,
  pin: Uint8Array,
): Promise<Result<string>> {
  const shown = Promise.withResolvers<Result<string>>();
  const socket = connect({
    host,
    port,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    minVersion: 'TLSv1.3',
    ALPNProtocols: [protocol],
    // The key is compared below.
    rejectUnauthorized: false,
  });
  const unreachable = (what: string): void => {
    shown.resolve(refuse('source_unreachable', { address: `${host}:${String(port)}`, what }));
  };
  const timer = setTimeout(() => {
    unreachable('ETIMEDOUT');
  }, timeoutMs);
  socket.on('error', (error: NodeJS.ErrnoException) => {
    unreachable(error.code ?? 'failed');
  });
  socket.once('close', () => {
    unreachable('ECONNRESET');
  });
  socket.once('secureConnect', () => {
    const peer = socket.getPeerX509Certificate();
    const actual = peer === undefined ? null : keyHash(peer);
    if (peer === undefined || actual === null || !equalBytes(actual, pin)) {
      const detail = { expected: toHex(pin), actual: actual === null ? null : toHex(actual) };
      shown.resolve(refuse('tls_key_mismatch', detail));
    } else shown.resolve(accept(peer.toString()));
  });
  const result = await shown.promise;
  clearTimeout(timer);
  socket.destroy();
  return result;
}

export class GrpcChannel {
  readonly #client: Client;
  readonly #target: GrpcTarget;
  readonly #pin: Uint8Array;

  private constructor(client: Client, target: GrpcTarget, pin: Uint8Array) {
    this.#client = client;
    this.#target = target;
    this.#pin = pin;
  }

  /** Refuses `source_unreachable`, `tls_key_mismatch`, `certificate_refused` (the client's own PEM). */
  static async open(target: GrpcTarget, pin: Uint8Array): Promise<Result<GrpcChannel>> {
    const { certificate: cert, key, host, port, https, timeoutMs } = target;
    try {
      createSecureContext({ cert, key });
    } catch {
      return refuse('certificate_refused', { what: 'certificate and key of the client' });
    }
    // Both ports show one certificate: it is the only authority of the channel.
    const shown = await showCertificate({ ...https, protocol: 'http/1.1', timeoutMs }, pin);
    if (!shown.ok) return shown;
    const context = createSecureContext({
      cert,
      key,
      ca: shown.value,
      allowPartialTrustChain: true,
      minVersion: 'TLSv1.3',
    });
    const secure = credentials.createFromSecureContext(context, {
      checkServerIdentity: (_: string, peer: PeerCertificate) => {
        const same = equalBytes(keyHash(new X509Certificate(peer.raw)), pin);
        return same ? undefined : new Error('another TLS key');
      },
    });
    const address = isIP(host) === 6 ? `[${host}]:${String(port)}` : `${host}:${String(port)}`;
    const client = new Client(address, secure, {
      ...CHANNEL_OPTIONS,
      // The standard has no names for addresses, and grpc-js gives one all the same.
      ...(isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'localhost' }),
    });
    return accept(new GrpcChannel(client, target, pin));
  }

  close(): void {
    this.#client.close();
  }

  /** Refuses with the enclave's code; `source_unreachable` and `call_deadline` where it has said nothing. */
  async call<Request extends object, Response extends object>(
    method: GrpcMethod<Request, Response>,
    request: Request,
    deadlineMs: number = this.#target.timeoutMs,
  ): Promise<Result<Response>> {
    const answer = await this.#send(method, request, deadlineMs);
    if (answer.ok || answer.refusal.code !== 'source_unreachable') return answer;
    // A channel does not tell why it has no connection: look whether somebody else is there.
    const { host, port, timeoutMs } = this.#target;
    const shown = await showCertificate({ host, port, protocol: 'h2', timeoutMs }, this.#pin);
    return shown.ok || shown.refusal.code !== 'tls_key_mismatch' ? answer : shown;
  }

  #send<Request extends object, Response extends object>(
    method: GrpcMethod<Request, Response>,
    request: Request,
    deadlineMs: number,
  ): Promise<Result<Response>> {
    return new Promise((resolve) => {
      this.#client.makeUnaryRequest<Request, Result<Response>>(
        method.path,
        (value) => Buffer.from(encodeMessage(method.request, value)),
        (bytes) => decodeMessage(method.response, bytes, MAX_ANSWER_BYTES),
        request,
        new Metadata(),
        { deadline: Date.now() + deadlineMs },
        (error, answer) => {
          if (error !== null) resolve(refusalOf(error));
          else resolve(answer ?? refuse('source_unreachable', { what: 'no answer' }));
        },
      );
    });
  }
}

function refusalOf(error: ServiceError): Result<never> {
  const detail: RefusalDetail = { status: status[error.code] };
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  if (bytes instanceof Buffer) {
    const said = decodeMessage(RpcStatusSchema, bytes, MAX_STATUS_BYTES);
    for (const { typeUrl, value } of said.ok ? said.value.details : []) {
      if (!typeUrl.endsWith('/google.rpc.ErrorInfo')) continue;
      const info = decodeMessage(RpcErrorInfoSchema, value, MAX_STATUS_BYTES);
      const named = info.ok
        ? new Map(info.value.metadata.map((one) => [one.key, one.value]))
        : null;
      const code = named?.get('code');
      const field = named?.get('field');
      if (code === undefined || !isRefusalCode(code)) continue;
      const known = field !== undefined && /^[a-z_]{1,32}$/u.test(field) ? { field } : {};
      return refuse(code, { ...detail, ...known });
    }
  }
  if (error.code === status.DEADLINE_EXCEEDED) return refuse('call_deadline', detail);
  return refuse('source_unreachable', detail);
}
