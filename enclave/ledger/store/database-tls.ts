// TLS to the database, ending here: the host carries the bytes and sees none of them. Who answers has to have a certificate
// of a measured authority for the measured name. Hostile bytes before TLS are refused, whatever they are: what PostgreSQL
// answers to an SSLRequest is one byte, and nothing may follow it in clear (CVE-2021-23222).

import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { connect } from 'node:tls';
import { SlicedStream } from '../../../wire/node/sliced-stream.ts';
import type { Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';

/** i32 length 8, i32 80877103. */
const SSL_REQUEST = Buffer.from('0000000804d2162f', 'hex');
const YES = 0x53;

export interface DatabaseTlsOptions {
  /** Certificates of the authorities, PEM. */
  readonly roots: string;
  readonly serverName: string;
  readonly timeoutMs: number;
}

/**
 * Sends in a turn of its own: Node's TLS misses a handshake that is over while `connect` runs, as one over a stream inside
 * of one process can be.
 */
class LaterStream extends SlicedStream {
  constructor(under: Duplex) {
    super(under, { allowHalfOpen: true });
  }

  override _write(
    bytes: Uint8Array,
    encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    setImmediate(() => {
      super._write(bytes, encoding, done);
    });
  }
}

/** Refuses `database_unreachable`, `database_answer_invalid`, `tls_untrusted`; the stream is gone then. */
export async function openDatabaseTls(
  stream: Duplex,
  options: DatabaseTlsOptions,
): Promise<Result<TLSSocket>> {
  const timer = setTimeout(() => {
    stream.destroy();
  }, options.timeoutMs);
  try {
    const asked = await askForTls(stream);
    if (!asked.ok) {
      stream.destroy();
      return asked;
    }
    return await secure(stream, options);
  } finally {
    clearTimeout(timer);
  }
}

function askForTls(stream: Duplex): Promise<Result<null>> {
  return new Promise((resolve) => {
    const done = (result: Result<null>): void => {
      stream.off('data', onData);
      stream.pause();
      stream.off('error', onGone);
      stream.off('close', onGone);
      stream.off('end', onGone);
      resolve(result);
    };
    const onGone = (): void => {
      done(refuse('database_unreachable'));
    };
    const onData = (answer: Buffer): void => {
      const fits = answer.length === 1 && answer[0] === YES;
      done(fits ? accept(null) : refuse('database_answer_invalid', { what: 'TLS' }));
    };
    stream.on('data', onData);
    // One listener stays: an error after the end is nobody's business here.
    stream.on('error', () => undefined);
    stream.on('error', onGone);
    stream.on('close', onGone);
    stream.on('end', onGone);
    if (stream.destroyed) onGone();
    else stream.write(SSL_REQUEST);
  });
}

function secure(
  stream: Duplex,
  { roots, serverName }: DatabaseTlsOptions,
): Promise<Result<TLSSocket>> {
  return new Promise((resolve) => {
    const socket = connect({
      socket: new LaterStream(stream),
      ca: roots,
      servername: serverName,
      host: serverName,
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
    });
    socket.on('error', () => {
      const answered = socket.authorizationError as unknown;
      socket.destroy();
      stream.destroy();
      const untrusted = answered !== null && answered !== undefined;
      resolve(refuse(untrusted ? 'tls_untrusted' : 'database_unreachable'));
    });
    socket.once('close', () => {
      resolve(refuse('database_unreachable'));
    });
    socket.once('secureConnect', () => {
      resolve(accept(socket));
    });
  });
}
