// AF_VSOCK: `vsock:CID` from a host to one enclave, `vsock:parent` from an enclave to its host. Sockets are
// made by the native addon; streams are Node's. Who accepts takes peers of the expected CIDs only: on a
// host another enclave could dial in, in an enclave another process over the loopback.

import { getSystemErrorName } from 'node:util';
import type { NativeAddon } from './native-addon.ts';
import type { PipeHandle } from './pipe-handle.ts';
import { openPipe, streamOfPipe } from './pipe-handle.ts';
import type { Transport } from './transport.ts';
import { systemError } from './transport.ts';

/** The parent instance on Nitro, then the host of any other hypervisor. */
const PARENT_CIDS: readonly number[] = [3, 2];
const MAX_CID = 0xffff_fffe;
/** The kernel gives up after two seconds; this only ends what it forgets. */
const CONNECT_MS = 10_000;
const BACKLOG = 511;

/** CIDs of the peer, in the order in which they are tried; null when it is not `parent` or a CID. */
export function parsePeer(text: string): readonly number[] | null {
  if (text === 'parent') return PARENT_CIDS;
  const cid = /^[1-9]\d{0,9}$/u.test(text) ? Number(text) : 0;
  return cid >= 1 && cid <= MAX_CID ? [cid] : null;
}

/** `cids` are the peer's, at least one; the first that accepts is kept. */
export function vsockTransport(addon: NativeAddon, cids: readonly number[]): Transport {
  let tried = cids;
  const isPeer = ({ fd }: PipeHandle): boolean => {
    try {
      return cids.includes(addon.peerCid(fd));
    } catch {
      // Gone before it was asked.
      return false;
    }
  };
  return {
    connect: async (port) => {
      let failure: unknown = null;
      for (const cid of tried) {
        try {
          const descriptor = await addon.connected(addon.connect(cid, port), CONNECT_MS);
          tried = [cid];
          return streamOfPipe(openPipe(descriptor, 'SOCKET'));
        } catch (error) {
          failure = error;
        }
      }
      throw failure;
    },
    listen: async (port, onStream) => {
      const server = openPipe(addon.bind(port), 'SERVER');
      server.onconnection = (status, client) => {
        if (status !== 0 || client === undefined) return;
        if (isPeer(client)) onStream(streamOfPipe(client));
        else client.close();
      };
      const status = server.listen(BACKLOG);
      if (status === 0) return { close: () => new Promise((closed) => server.close(closed)) };
      server.close();
      throw systemError(getSystemErrorName(status), `listen on port ${port}`);
    },
  };
}
