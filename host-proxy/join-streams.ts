// A stream of the enclave's joined with a TCP connection as raw bytes: half-close both ways, and a slow reader slows its
// writer and nobody else: one chunk is under way in each direction, and nothing more is read before it is taken. To
// the enclave one slice is written at a time, so that its transport never sees more than 32 KiB in one write.

import type { Duplex } from 'node:stream';
import { MAX_WRITE_BYTES } from '../wire/limits.ts';

type Count = (bytes: number) => void;

/** Resolves when both directions are over. Ends both when one breaks. */
export async function joinStreams(
  enclave: Duplex,
  peer: Duplex,
  countFromEnclave: Count,
  countToEnclave: Count,
): Promise<void> {
  // Also when one is gone already: an error on a destroyed stream must find a listener.
  for (const [from, to] of [
    [enclave, peer],
    [peer, enclave],
  ] as const) {
    from.on('error', () => to.destroy());
    from.once('close', () => to.destroy());
  }
  if (enclave.destroyed || peer.destroyed) {
    enclave.destroy();
    peer.destroy();
    return;
  }
  await Promise.all([
    copy(enclave, peer, writeWhole, countFromEnclave),
    copy(peer, enclave, writeSliced, countToEnclave),
  ]);
}

/** Resolves at the end of the source, or when either is closed. */
function copy(
  source: Duplex,
  sink: Duplex,
  write: (sink: Duplex, chunk: Buffer, taken: () => void) => void,
  count: Count,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let chunk: Buffer | null = null;
  let ended = false;
  const finish = (): void => {
    sink.end();
    resolve();
  };
  const taken = (): void => {
    if (chunk !== null) count(chunk.length);
    chunk = null;
    if (ended) finish();
    else source.resume();
  };
  source.on('data', (next: Buffer) => {
    chunk = next;
    source.pause();
    write(sink, next, taken);
  });
  source.once('end', () => {
    // A socket says so even while it is paused: the last chunk may still be on its way.
    ended = true;
    if (chunk === null) finish();
  });
  source.once('close', resolve);
  sink.once('close', resolve);
  source.resume();
  return promise;
}

/** What the kernel does not take at once is waited for; the stream's own errors end both. */
function writeWhole(sink: Duplex, chunk: Buffer, taken: () => void): void {
  if (sink.write(chunk)) taken();
  else sink.once('drain', taken);
}

function writeSliced(sink: Duplex, chunk: Buffer, taken: () => void): void {
  const slice = chunk.subarray(0, MAX_WRITE_BYTES);
  sink.write(slice, (error) => {
    if (error !== null && error !== undefined) return;
    if (slice.length === chunk.length) taken();
    else writeSliced(sink, chunk.subarray(slice.length), taken);
  });
}

/** Ends a stream that nobody waits for. */
export function refuseStream(stream: Duplex): void {
  stream.on('error', () => undefined);
  stream.destroy();
}
