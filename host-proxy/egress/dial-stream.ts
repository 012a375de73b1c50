// The first frame of a stream from the enclave, and nothing of what follows it: DIAL, then raw bytes. The
// enclave may be hostile: type and length are checked before anything is kept, and there is a deadline.

import type { Duplex } from 'node:stream';
import { FrameDecoder, FRAME_HEAD_BYTES } from '../../wire/frame.ts';
import { readU32 } from '../../wire/bytes.ts';
import { MAX_DIAL_BYTES, parseDial } from '../../wire/kms-messages.ts';
import type { Dial } from '../../wire/kms-messages.ts';
import { FRAME } from '../../wire/messages.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

const MAX_FRAME_BYTES = FRAME_HEAD_BYTES + MAX_DIAL_BYTES;

/** Refuses `stream_closed` for an end or the deadline, or as the frame is wrong. The stream is paused then. */
export function readDial(stream: Duplex, timeoutMs: number): Promise<Result<Dial>> {
  const { promise, resolve } = Promise.withResolvers<Result<Dial>>();
  let head: Buffer = Buffer.alloc(0);
  const settle = (result: Result<Dial>): void => {
    clearTimeout(timer);
    stream.off('readable', read);
    stream.off('end', onEnd);
    stream.off('close', onEnd);
    resolve(result);
  };
  const onEnd = (): void => {
    settle(refuse('stream_closed'));
  };
  const read = (): void => {
    for (let chunk = take(stream); chunk !== null; chunk = take(stream)) {
      const room = MAX_FRAME_BYTES - head.length;
      head = Buffer.concat([head, chunk.subarray(0, room)]);
      const found = parseFirst(head);
      if (found === null) continue;
      if (found.ok) {
        // The peer may be quick: what follows its frame belongs to the connection.
        const beyond = Buffer.concat([head.subarray(found.value.bytes), chunk.subarray(room)]);
        if (beyond.length > 0) stream.unshift(beyond);
        settle(accept(found.value.dial));
      } else settle(found);
      return;
    }
  };
  const timer = setTimeout(onEnd, timeoutMs);
  stream.on('readable', read);
  stream.on('end', onEnd);
  stream.on('close', onEnd);
  return promise;
}

/** What an enclave may send before it knows that it is connected. */
const MAX_EARLY_BYTES = 64 * 1024;

/**
 * Until `stop`, ends a stream whose peer has ended its side, or sends more than it may: nothing is read while its
 * name is resolved, and a peer that is gone would hold its place. `stop` hands back what came, for the connection.
 */
export function watchEnd(stream: Duplex): { readonly stop: () => void } {
  const early: Buffer[] = [];
  let bytes = 0;
  const read = (): void => {
    for (let chunk = take(stream); chunk !== null; chunk = take(stream)) {
      early.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_EARLY_BYTES) stream.destroy();
    }
  };
  const onEnd = (): void => {
    stream.destroy();
  };
  stream.on('readable', read);
  stream.on('end', onEnd);
  return {
    stop: () => {
      stream.off('readable', read);
      stream.off('end', onEnd);
      if (bytes > 0 && !stream.destroyed) stream.unshift(Buffer.concat(early));
    },
  };
}

/** Null: not yet complete. */
function parseFirst(bytes: Buffer): Result<{ readonly dial: Dial; readonly bytes: number }> | null {
  const decoder = new FrameDecoder({ maxPayloadBytes: new Map([[FRAME.dial, MAX_DIAL_BYTES]]) });
  const whole = bytes.length < FRAME_HEAD_BYTES ? 0 : FRAME_HEAD_BYTES + readU32(bytes, 0);
  // A head alone is judged at once; bytes behind the frame are not the decoder's.
  const { frames, refusal } = decoder.push(bytes.subarray(0, Math.max(whole, FRAME_HEAD_BYTES)));
  if (refusal !== null) return { ok: false, refusal };
  const [frame] = frames;
  if (frame === undefined) return null;
  const dial = parseDial(frame.payload);
  return dial.ok ? accept({ dial: dial.value, bytes: whole }) : dial;
}

function take(stream: Duplex): Buffer | null {
  return stream.read() as Buffer | null;
}
