// A TCP server of the host from its listening to its end.

import type { AddressInfo, Server } from 'node:net';

/** Resolves when it listens; rejects with the system's error, for an address that is taken say. */
export async function listenAt(server: Server, port: number, host: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<null>();
  server.once('error', reject);
  server.listen(port, host, () => {
    resolve(null);
  });
  await promise;
}

/** Of one that listens. */
export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** Stops accepting; resolves when `end` has ended what is open. */
export async function closeServer(server: Server, end: () => void): Promise<void> {
  const closed = new Promise<null>((resolve) => {
    server.close(() => {
      resolve(null);
    });
  });
  end();
  await closed;
}
