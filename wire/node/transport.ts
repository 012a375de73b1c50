// How enclave and host reach one another: byte streams on numbered ports, over Unix sockets (`unix:DIR`),
// vsock (`vsock:CID`) or the Unix sockets of an emulated vsock (`hvsock:PATH`). The kernel's buffers and
// Node's high-water marks give backpressure: write() answers false, and reading stops while nobody
// consumes. Whoever can reach the port is the peer: nothing is trusted.

import type { Duplex } from 'node:stream';

export interface Listener {
  /** Resolves when nothing is accepted any more; open streams go on. */
  close(): Promise<void>;
}

export interface Transport {
  /** Resolves when the peer has accepted; rejects with the system's error. Either side may end first. */
  connect(port: number): Promise<Duplex>;
  /** Rejects with the system's error, such as EADDRINUSE. */
  listen(port: number, onStream: (stream: Duplex) => void): Promise<Listener>;
}

/** An Error with a `code` such as ETIMEDOUT, as the system's own have. */
export function systemError(code: string, message: string): Error {
  return Object.assign(new Error(`${message} (${code})`), { code });
}
