// Sends a venue's answer, or what a fault makes of it.

import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Reply, VenueApi } from './call.ts';
import { HUGE_BYTES } from './faults.ts';
import type { Fault } from './faults.ts';

const HTML = '<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>';
/** Smaller bodies are sent as they are, as venues' front ends do. */
const MIN_GZIP_BYTES = 1024;

/** The answer where it replaces the venue's own; null where the venue must be asked. */
export function insteadOf(fault: Fault | null, venue: VenueApi): Reply | null {
  const json = { 'content-type': 'application/json' };
  if (fault?.type === 'status') {
    const { status, headers = {}, body = '' } = fault;
    return { status, headers: { ...json, ...headers }, body };
  }
  if (fault?.type === 'trouble') return venue.trouble(fault.kind, fault.retryAfterS ?? 30);
  if (fault?.type === 'wrong-shape') {
    return { status: 200, headers: json, body: fault.body ?? 'null' };
  }
  if (fault?.type === 'empty') return { status: 200, headers: json, body: '' };
  if (fault?.type === 'html') {
    const { status = 502 } = fault;
    return { status, headers: { 'content-type': 'text/html' }, body: HTML };
  }
  if (fault?.type === 'redirect') {
    return { status: 302, headers: { location: fault.location }, body: '' };
  }
  return null;
}

interface Sending {
  readonly response: ServerResponse;
  readonly reply: Reply;
  readonly fault: Fault | null;
  readonly acceptsGzip: boolean;
  readonly common: Readonly<Record<string, string>>;
}

function sendWhole({ response, reply, common, acceptsGzip }: Sending, given?: Buffer): void {
  const plain = given ?? Buffer.from(reply.body);
  const isPacked = acceptsGzip && plain.length >= MIN_GZIP_BYTES;
  const body = isPacked ? gzipSync(plain) : plain;
  const packed = isPacked ? { 'content-encoding': 'gzip' } : {};
  const headers = { ...common, ...reply.headers, ...packed };
  response.writeHead(reply.status, { ...headers, 'content-length': String(body.length) });
  response.end(body);
}

function sendRaw({ response, reply, common }: Sending, body: Buffer, more: object): void {
  const headers = { ...common, ...reply.headers, ...more };
  response.writeHead(reply.status, { ...headers, 'content-length': String(body.length) });
  response.end(body);
}

async function sendDripping(sending: Sending, bytes: number, everyMs: number): Promise<void> {
  const { response, reply, common } = sending;
  const body = Buffer.from(reply.body);
  const length = { 'content-length': String(body.length) };
  response.writeHead(reply.status, { ...common, ...reply.headers, ...length });
  for (let at = 0; at < body.length && !response.destroyed; at += bytes) {
    response.write(body.subarray(at, at + bytes));
    await sleep(everyMs, undefined, { ref: false });
  }
  response.end();
}

function sendCut({ response, reply, common }: Sending, body: Buffer, bytes: number): void {
  const length = { 'content-length': String(body.length + 1) };
  response.writeHead(reply.status, { ...common, ...reply.headers, ...length });
  response.write(body.subarray(0, bytes), () => response.socket?.destroy());
}

export async function sendReply(sending: Sending): Promise<void> {
  const { response, reply, fault } = sending;
  const body = Buffer.from(reply.body);
  const gzip = { 'content-encoding': 'gzip' };
  if (fault?.type === 'hang') return;
  if (fault?.type === 'reset') response.socket?.destroy();
  else if (fault?.type === 'bad-http') {
    response.socket?.end('I do not speak HTTP today\r\n\r\n');
  } else if (fault?.type === 'malformed') {
    sendWhole(sending, Buffer.from(reply.body.slice(0, reply.body.length / 2).padEnd(40)));
  } else if (fault?.type === 'bad-gzip') sendRaw(sending, body, gzip);
  else if (fault?.type === 'cut') sendCut(sending, body, fault.bytes ?? 20);
  else if (fault?.type === 'drip') await sendDripping(sending, fault.bytes, fault.everyMs);
  else if (fault?.type === 'huge') {
    sendRaw(sending, Buffer.alloc(fault.bytes ?? HUGE_BYTES, ' '), {});
  } else if (fault?.type === 'gzip-bomb') {
    sendRaw(sending, gzipSync(Buffer.alloc(fault.bytes ?? HUGE_BYTES, ' ')), gzip);
  } else {
    if (fault?.type === 'slow') await sleep(fault.delayMs, undefined, { ref: false });
    if (!response.destroyed) sendWhole(sending);
  }
}
