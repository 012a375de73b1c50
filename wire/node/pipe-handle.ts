// Node's own handle of a stream socket, for descriptors that Node cannot open by itself: read, written and
// accepted in Node's loop, without a thread. `net.Socket({ fd })` refuses a vsock descriptor, a Pipe handle
// takes any stream socket. Internal to Node, but the same since Node 20.

import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import { SlicedStream } from './sliced-stream.ts';
import { systemError } from './transport.ts';

export interface PipeHandle {
  readonly fd: number;
  /** 0, or an error of libuv; the descriptor is then still the caller's. */
  open(descriptor: number): number;
  listen(backlog: number): number;
  close(callback?: () => void): void;
  onconnection: (status: number, client?: PipeHandle) => void;
}

interface PipeBinding {
  readonly Pipe: new (type: number) => PipeHandle;
  readonly constants: { readonly SOCKET: number; readonly SERVER: number };
}

interface Bindings {
  binding(name: 'pipe_wrap'): PipeBinding;
}

/** Takes a stream socket, and closes it when it cannot. */
export function openPipe(descriptor: number, type: 'SOCKET' | 'SERVER'): PipeHandle {
  const { Pipe, constants } = (process as unknown as Bindings).binding('pipe_wrap');
  const handle = new Pipe(constants[type]);
  const status = handle.open(descriptor);
  if (status === 0) return handle;
  handle.close();
  closeSync(descriptor);
  throw systemError(getSystemErrorName(status), 'not a stream socket');
}

/** A connected handle as a stream that never writes more than 32 KiB at once, nor several pieces joined. */
export function streamOfPipe(handle: PipeHandle): Duplex {
  const options: unknown = { handle, allowHalfOpen: true };
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0]);
  return new SlicedStream(socket, { allowHalfOpen: true });
}
