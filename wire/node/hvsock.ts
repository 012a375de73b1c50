// `hvsock:PATH`, the host's end of an emulated vsock (vhost-device-vsock, Firecracker): to a port of the
// guest by `CONNECT <port>\n` -> `OK <n>\n` on the socket PATH; what the guest connects to arrives on the
// socket PATH_<port>. The device is not trusted: its line has a maximum length and a deadline.

import type { Socket } from 'node:net';
import { systemError } from './transport.ts';
import type { Transport } from './transport.ts';
import { connectUnix, listenUnix } from './unix.ts';

/** `OK 4294967295\n` has 14. */
const MAX_LINE_BYTES = 32;
const HANDSHAKE_MS = 10_000;
const LINE = /^OK \d{1,10}$/u;
const NEWLINE = 0x0a;

export interface HvsockOptions {
  /** For the device's answer. */
  readonly handshakeMs?: number;
}

/**
 * Rejects with the system's error; ECONNRESET when nobody listens on the guest's port, EPROTO for another
 * line than expected, ETIMEDOUT when none comes.
 */
export function hvsockTransport(path: string, options: HvsockOptions = {}): Transport {
  const { handshakeMs = HANDSHAKE_MS } = options;
  return {
    connect: async (port) => {
      const socket = await connectUnix(path);
      // Nothing may follow the line before the answer: the device drops it.
      socket.write(`CONNECT ${port}\n`);
      await handshake(socket, handshakeMs);
      return socket;
    },
    listen: (port, onStream) => listenUnix(`${path}_${port}`, onStream),
  };
}

/** Reads the device's line and not a byte more; destroys the socket when it rejects. */
function handshake(socket: Socket, handshakeMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let line = '';
  const settle = (error: Error | null): void => {
    clearTimeout(timer);
    socket.off('readable', read);
    socket.off('end', onEnd);
    socket.off('error', settle);
    socket.off('close', onEnd);
    if (error === null) {
      resolve();
      return;
    }
    // An error after the end of the handshake must find a listener.
    socket.on('error', () => undefined);
    socket.destroy();
    reject(error);
  };
  const onEnd = (): void => {
    settle(systemError('ECONNRESET', 'the device closed the connection'));
  };
  const read = (): void => {
    for (let chunk = take(socket); chunk !== null; chunk = take(socket)) {
      const at = chunk.indexOf(NEWLINE);
      const part = at === -1 ? chunk : chunk.subarray(0, at);
      line += part.toString('latin1');
      if (line.length >= MAX_LINE_BYTES || (at !== -1 && !LINE.test(line))) {
        settle(systemError('EPROTO', 'the device answered something else than OK'));
        return;
      }
      if (at !== -1) {
        const rest = chunk.subarray(at + 1);
        if (rest.length > 0) socket.unshift(rest);
        settle(null);
        return;
      }
    }
  };
  const timer = setTimeout(() => {
    settle(systemError('ETIMEDOUT', 'the device did not answer'));
  }, handshakeMs);
  socket.on('readable', read);
  socket.on('end', onEnd);
  socket.on('error', settle);
  socket.on('close', onEnd);
  return promise;
}

function take(socket: Socket): Buffer | null {
  return socket.read() as Buffer | null;
}
