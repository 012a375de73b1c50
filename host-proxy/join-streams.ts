// Two streams joined as raw bytes: half-close both ways, and a slow reader slows its writer and nobody else.
// Writes are one slice at a time, so that a transport never sees more than 32 KiB in one write.

import type { Duplex } from 'node:stream';
import { MAX_WRITE_BYTES } from '../wire/limits.ts';

type Count = (bytes: number) => void;

/** Resolves when both directions are over. Ends both when one breaks. */
export async function joinStreams(
  one: Duplex,
  other: Duplex,
  countForth: Count,
  countBack: Count,
): Promise<void> {
  // Also when one is gone already: an error on a destroyed stream must find a listener.
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy());
    from.once('close', () => to.destroy());
  }
  if (one.destroyed || other.destroyed) {
    one.destroy();
    other.destroy();
    return;
  }
  await Promise.all([copy(one, other, countForth), copy(other, one, countBack)]);
}

async function copy(source: Duplex, sink: Duplex, count: Count): Promise<void> {
  try {
    for await (const chunk of source.iterator({
      destroyOnReturn: false,
    }) as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; at += MAX_WRITE_BYTES) {
        const slice = chunk.subarray(at, at + MAX_WRITE_BYTES);
        await written(sink, slice);
        count(slice.length);
      }
    }
    sink.end();
  } catch {
    source.destroy();
    sink.destroy();
  }
}

function written(sink: Duplex, slice: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.write(slice, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}

/** Ends a stream that nobody waits for. */
export function refuseStream(stream: Duplex): void {
  stream.on('error', () => undefined);
  stream.destroy();
}
