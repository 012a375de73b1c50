// The guest's side of test/vm/hvsock.test.ts. Port 6000 echoes: u32 length, then so many bytes, back as they
// come. Port 6004 hashes so many bytes, after it has not read for a while; port 6005 sends so many. A byte on port 6001 lets the guest dial the host's port 6002 so many times, one after the other, and
// tell each time its number. Port 6003 ends the program.

import { createHash } from 'node:crypto';
import { argv, exit, stdout } from 'node:process';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAddon } from '../../../wire/node/native-addon.ts';
import { vsockTransport } from '../../../wire/node/vsock.ts';

/** The emulated host, and the parent of Nitro, which does not answer here. */
const HOST_CIDS = [3, 2];
const HEAD_BYTES = 4;
const PIECE_BYTES = 64_000;
const SLOW_MS = 3000;

const [addonPath = ''] = argv.slice(2);
const transport = vsockTransport(loadAddon(addonPath), HOST_CIDS);

function echo(stream: Duplex): void {
  let missing = -1;
  let head = Buffer.alloc(0);
  stream.on('error', () => undefined);
  stream.on('data', (chunk: Buffer) => {
    let data = chunk;
    if (missing === -1) {
      head = Buffer.concat([head, chunk]);
      if (head.length < HEAD_BYTES) return;
      missing = head.readUInt32BE();
      data = head.subarray(HEAD_BYTES);
    }
    missing -= data.length;
    if (data.length > 0 && !stream.write(data)) {
      stream.pause();
      stream.once('drain', () => stream.resume());
    }
    if (missing === 0) stream.end();
  });
}

/** The first four bytes as a number, and the stream goes on after them. */
async function headOf(stream: Duplex): Promise<number> {
  stream.on('error', () => undefined);
  while (stream.readableLength < HEAD_BYTES) {
    await new Promise((resolve) => stream.once('readable', resolve));
    stream.read(0);
  }
  return (stream.read(HEAD_BYTES) as Buffer).readUInt32BE();
}

async function sink(stream: Duplex): Promise<void> {
  const total = await headOf(stream);
  await sleep(SLOW_MS);
  const hash = createHash('sha256');
  let received = 0;
  stream.on('data', (chunk: Buffer) => {
    received += chunk.length;
    hash.update(chunk);
    if (received === total) stream.end(hash.digest('hex'));
  });
}

async function source(stream: Duplex): Promise<void> {
  const total = await headOf(stream);
  stream.resume();
  for (let sent = 0; sent < total; sent += PIECE_BYTES) {
    const piece = Buffer.alloc(Math.min(PIECE_BYTES, total - sent), 7);
    piece.writeUInt32BE(sent);
    if (!stream.write(piece)) await new Promise((resolve) => stream.once('drain', resolve));
  }
  stream.end();
}

async function dial(times: number): Promise<void> {
  for (let number = 0; number < times; number++) {
    const stream = await transport.connect(6002);
    stream.on('error', () => undefined);
    stream.resume();
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.end(`${number}\n`);
    await closed;
  }
}

await transport.listen(6000, echo);
await transport.listen(6001, (stream) => {
  // The host cuts it when it has heard the answer.
  stream.on('error', () => undefined);
  stream.once('data', (chunk: Buffer) => {
    void dial(chunk[0] ?? 0).then(
      () => stream.end('done'),
      (error: unknown) => stream.end(String(error)),
    );
  });
});
await transport.listen(6004, (stream) => void sink(stream));
await transport.listen(6005, (stream) => void source(stream));
await transport.listen(6003, () => exit(0));
stdout.write('{"guest":"listens"}\n');
