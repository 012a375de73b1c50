// How enclave and host reach one another: byte streams on numbered ports. `unix:DIR` is one Unix
// socket DIR/<port> per port, for the local appliance; vsock and hvsock join it behind this interface.
// The kernel's buffers and Node's high-water marks give backpressure: write() answers false, and
// reading stops while nobody consumes. Whoever can open the sockets is the peer: nothing is trusted.

import { rm } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';

export interface Listener {
  /** Stops accepting; open streams go on. */
  close(): Promise<void>;
}

export interface Transport {
  /** Resolves when the peer has accepted; rejects with the system's error. */
  connect(port: number): Promise<Duplex>;
  listen(port: number, onStream: (stream: Duplex) => void): Promise<Listener>;
}

/** `unix:DIR`. The side that listens creates the socket file and removes a stale one first. */
export function unixTransport(directory: string): Transport {
  const pathOf = (port: number): string => join(directory, String(port));
  return {
    connect: (port) =>
      new Promise((resolve, reject) => {
        const socket = createConnection({ path: pathOf(port), allowHalfOpen: true });
        socket.once('error', reject);
        socket.once('connect', () => {
          socket.off('error', reject);
          resolve(socket);
        });
      }),
    listen: async (port, onStream) => {
      await rm(pathOf(port), { force: true });
      const server = createServer({ allowHalfOpen: true }, onStream);
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(pathOf(port), () => {
          server.off('error', reject);
          resolve();
        });
      });
      return {
        close: () =>
          new Promise((resolve) => {
            server.close(() => {
              resolve();
            });
          }),
      };
    },
  };
}

/** Parses `unix:DIR`; null for anything else. */
export function parseTransport(address: string): Transport | null {
  return address.startsWith('unix:') && address.length > 5 ? unixTransport(address.slice(5)) : null;
}
