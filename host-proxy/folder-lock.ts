// One host per state folder. The name is an abstract socket, which the kernel frees when the process is gone,
// however it went.

import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import type { Server } from 'node:net';

/** Null when another process has it. */
export async function lockFolder(state: string): Promise<Server | null> {
  const name = createHash('sha256').update(state).digest('hex').slice(0, 32);
  const server = createServer((socket) => {
    socket.destroy();
  });
  const { promise, resolve, reject } = Promise.withResolvers<Server | null>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') resolve(null);
    else reject(error);
  });
  server.listen({ path: `\0trackseal-host-${name}` }, () => {
    resolve(server);
  });
  return promise;
}
