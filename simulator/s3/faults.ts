// What can go wrong between a client and S3, on demand: a hook sees each authenticated request and may hold it
// (by answering later), or name a fault. Without a hook the simulator does none of this.

import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Reply } from './call.ts';
import { S3Refusal } from './refusal.ts';

export interface FaultRequest {
  /** As AWS calls it: PutObject, ListObjectVersions. */
  readonly operation: string;
  readonly bucket: string;
  readonly key: string;
  /** Of all requests, from 1. */
  readonly number: number;
}

export type Fault =
  /** Not done, and said so: 503 SlowDown, 409 ConditionalRequestConflict, 500 InternalError. */
  | { readonly type: 'refuse'; readonly status: number; readonly code: string }
  /** Not done, and said to be done: 200 without a body. */
  | { readonly type: 'pretend' }
  /** Not done, and the connection is gone. */
  | { readonly type: 'drop' }
  /** Done, and the connection is gone. */
  | { readonly type: 'lose-answer' }
  /** Done, and this said instead. */
  | { readonly type: 'lie'; readonly status: number; readonly code: string }
  /** Done; the answer's body ends before its announced length. */
  | { readonly type: 'cut-body'; readonly afterBytes: number }
  /** Done; the answer comes later. */
  | { readonly type: 'slow'; readonly delayMs: number }
  /** Done; the answer tells another SHA-256. */
  | { readonly type: 'lying-checksum' }
  /** Done; one bit of the answer's body is another. */
  | { readonly type: 'corrupt' };

export type FaultHook = (request: FaultRequest) => Fault | null | Promise<Fault | null>;

const CHECKSUM = 'x-amz-checksum-sha256';

/** Throws where the request must not be done. */
export function beforeActing(fault: Fault | null, response: ServerResponse): void {
  if (fault?.type === 'refuse') {
    throw new S3Refusal(fault.status, fault.code, 'A fault of the simulator.');
  }
  if (fault?.type === 'drop') response.socket?.destroy();
}

/** The reply as the fault wants it. Null where none is to be sent. */
export async function afterActing(fault: Fault | null, reply: Reply): Promise<Reply | null> {
  if (fault === null) return reply;
  if (fault.type === 'lose-answer') return null;
  if (fault.type === 'lie')
    throw new S3Refusal(fault.status, fault.code, 'A fault of the simulator.');
  if (fault.type === 'slow') await sleep(fault.delayMs);
  if (fault.type === 'lying-checksum') {
    const headers = { ...reply.headers, [CHECKSUM]: Buffer.alloc(32, 7).toString('base64') };
    return { ...reply, headers };
  }
  if (fault.type === 'corrupt') {
    const body = Buffer.from(reply.body ?? '');
    const last = body.length - 1;
    if (last >= 0) body.writeUInt8(body.readUInt8(last) ^ 1, last);
    return { ...reply, body };
  }
  return reply;
}
