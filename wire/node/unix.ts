// Streams over Unix sockets. `unix:DIR` is one socket DIR/<port> per port, for the local appliance. The
// side that listens creates the socket file and removes a stale one first: whoever may write to the folder
// can be the peer.

import { rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Listener, Transport } from './transport.ts';

/** A connection that finds the queue full is refused at once (EAGAIN), so it has room for all that may be open. */
const BACKLOG = 4096;

/** Rejects with the system's error. */
export function connectUnix(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path, allowHalfOpen: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** Rejects with the system's error. */
export async function listenUnix(
  path: string,
  onStream: (stream: Duplex) => void,
): Promise<Listener> {
  await rm(path, { force: true });
  const server = createServer({ allowHalfOpen: true }, onStream);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    close: () => {
      // Its callback would wait for the open streams, too.
      server.close();
      return Promise.resolve();
    },
  };
}

export function unixTransport(directory: string): Transport {
  const pathOf = (port: number): string => join(directory, String(port));
  return {
    connect: (port) => connectUnix(pathOf(port)),
    listen: (port, onStream) => listenUnix(pathOf(port), onStream),
  };
}
