// Two pipes as one stream of bytes for a channel: to a child, or of this process to its parent.

import type { Readable, Writable } from 'node:stream';
import type { ByteStream } from '../channel.ts';

/** Ends where `readable` does; errors of `writable` say nothing that its end does not. */
export function joinPipes(readable: Readable, writable: Writable): ByteStream {
  writable.on('error', () => undefined);
  return {
    write: (chunk) => writable.write(chunk),
    once: (event, listener) => writable.once(event, listener),
    on: (event: string, listener: (chunk: Uint8Array) => void) => readable.on(event, listener),
    end: (callback) => writable.end(callback),
    destroy: () => {
      writable.destroy();
      readable.destroy();
    },
  };
}
