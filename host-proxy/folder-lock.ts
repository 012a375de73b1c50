// One host per folder of state, and one per log. The name is an abstract socket, which the kernel frees when the process is
// gone, however it went; processes in another network namespace (containers) and on other machines do not see it.

import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';

/** Null when another process has it, under whatever path. */
export async function lockFolder(folder: string): Promise<Server | null> {
  const real = await realpath(folder).catch(() => folder);
  const name = createHash('sha256').update(real).digest('hex').slice(0, 32);
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
