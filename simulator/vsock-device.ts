// Stands in for vhost-device-vsock and the guest behind it, on the Unix sockets that a host sees: `CONNECT
// <port>\n` -> `OK <port>\n` on PATH, and PATH_<port> for what the guest dials. As that device does, it reads
// the line in one piece and drops what follows it, and it does not carry an end of one direction: the
// host's end is the end of both, the guest's is not seen before its stream is closed. Its own buffers and
// their limits are not imitated (test/vm/hvsock.test.ts asks the real one). Trusted by nobody.

import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { rm } from 'node:fs/promises';
import { systemError } from '../wire/node/transport.ts';
import type { Listener, Transport } from '../wire/node/transport.ts';
import { connectUnix, listenUnix } from '../wire/node/unix.ts';

export interface VsockDeviceOptions {
  /** Carries the end of one direction, as the kernel's own vsock does. Default false. */
  readonly halfClose?: boolean;
}

type OnStream = (stream: Duplex) => void;

export class VsockDevice {
  /** The guest's end. */
  readonly guest: Transport;
  readonly #path: string;
  readonly #halfClose: boolean;
  readonly #ports = new Map<number, OnStream>();
  readonly #server: Server;

  private constructor(path: string, { halfClose = false }: VsockDeviceOptions) {
    this.#path = path;
    this.#halfClose = halfClose;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (line: Buffer) => {
        this.#dial(socket, line);
      });
    });
    this.guest = {
      connect: (port) => this.#connect(port),
      listen: (port, onStream) => this.#listen(port, onStream),
    };
  }

  static async open(path: string, options: VsockDeviceOptions = {}): Promise<VsockDevice> {
    await rm(path, { force: true });
    const device = new VsockDevice(path, options);
    await new Promise<void>((resolve, reject) => {
      device.#server.once('error', reject);
      device.#server.listen(path, resolve);
    });
    return device;
  }

  close(): void {
    this.#server.close();
  }

  #dial(socket: Socket, line: Buffer): void {
    socket.pause();
    const words = line
      .subarray(0, line.indexOf('\n') + 1)
      .toString('latin1')
      .split(/\s+/u);
    const port = /^\d{1,10}$/u.test(words[1] ?? '') ? Number(words[1]) : Number.NaN;
    const onStream = words[0]?.toLowerCase() === 'connect' ? this.#ports.get(port) : undefined;
    if (onStream === undefined && Number.isInteger(port) && words[0]?.toLowerCase() === 'connect') {
      void this.#dialOther(socket, port);
      return;
    }
    if (onStream === undefined) {
      // The guest resets, or the line is not understood: either way the host's socket closes.
      socket.destroy();
      return;
    }
    socket.write(`OK ${port}\n`);
    onStream(new GuestStream(socket, this.#halfClose));
  }

  /** A port on which another process of the guest listens. */
  async #dialOther(socket: Socket, port: number): Promise<void> {
    try {
      const other = await connectUnix(guestSocket(this.#path, port));
      other.on('error', () => undefined);
      socket.write(`OK ${port}\n`);
      other.pipe(socket).pipe(other);
      other.on('close', () => socket.destroySoon());
      socket.on('close', () => other.destroy());
    } catch {
      socket.destroy();
    }
  }

  #connect(port: number): Promise<Duplex> {
    return connectHost(this.#path, port, this.#halfClose);
  }

  #listen(port: number, onStream: OnStream): Promise<Listener> {
    if (this.#ports.has(port)) {
      return Promise.reject(systemError('EADDRINUSE', `port ${port} of the guest`));
    }
    this.#ports.set(port, onStream);
    return Promise.resolve({
      close: () => {
        this.#ports.delete(port);
        return Promise.resolve();
      },
    });
  }
}

function guestSocket(path: string, port: number): string {
  return `${path}.guest_${port}`;
}

async function connectHost(path: string, port: number, halfClose: boolean): Promise<Duplex> {
  try {
    return new GuestStream(await connectUnix(`${path}_${port}`), halfClose);
  } catch {
    throw systemError('ECONNRESET', 'nobody listens on the host');
  }
}

/** For a process of the guest that does not hold the device. */
export function otherGuest(path: string): Transport {
  return {
    connect: (port) => connectHost(path, port, false),
    listen: (port, onStream) => listenUnix(guestSocket(path, port), onStream),
  };
}

/** The guest's socket, and the device between it and the host's. */
class GuestStream extends Duplex {
  readonly #host: Socket;
  readonly #halfClose: boolean;
  #hostEnded = false;

  constructor(host: Socket, halfClose: boolean) {
    super({ allowHalfOpen: true });
    this.#host = host;
    this.#halfClose = halfClose;
    host.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) host.pause();
    });
    host.on('end', () => {
      this.#hostEnded = true;
      this.push(null);
    });
    host.on('error', () => this.destroy(systemError('ECONNRESET', 'the host is gone')));
    host.on('close', () => {
      if (!this.#hostEnded) this.destroy();
    });
    host.resume();
  }

  override _read(): void {
    this.#host.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#hostEnded && !this.#halfClose) {
      done(systemError('EPIPE', 'the host has ended'));
      return;
    }
    this.#host.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#halfClose) this.#host.end(done);
    else done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // What was written before is the device's and still goes out.
    this.#host.destroySoon();
    done(error);
  }
}
