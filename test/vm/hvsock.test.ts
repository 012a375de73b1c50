// hvsock: on the host against AF_VSOCK in the guest, through the real vhost-device-vsock.

import { createHash, randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { hvsockTransport } from '../../wire/node/hvsock.ts';
import type { Transport } from '../../wire/node/transport.ts';
import { cleanUpAfterEach, temporaryFolder } from '../e2e/processes.ts';
import { newVmPlace, SKIPPED } from './place.ts';
import { ADDON, guestProgram, NODE, startGuest, writeTestImage } from './test-image.ts';

cleanUpAfterEach();

const PORT = {
  echo: 6000,
  dial: 6001,
  host: 6002,
  end: 6003,
  sink: 6004,
  source: 6005,
  nobody: 6100,
};
const BULK_BYTES = 20_000_000;
/** What all buffers between a writer and a guest that cannot go on may hold. */
const MAX_HELD_BYTES = 8_000_000;
const PIECE_BYTES = 64 * 1024;
const GUEST_PIECE_BYTES = 64_000;
const QUIET_MS = 1000;

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** The guest boots for a while. */
async function dial(transport: Transport, port: number): Promise<Duplex> {
  for (;;) {
    try {
      return (await transport.connect(port)).on('error', () => undefined);
    } catch {
      await sleep(200);
    }
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function headed(transport: Transport, port: number, bytes: number): Promise<Duplex> {
  const stream = (await transport.connect(port)).on('error', () => undefined);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes);
  stream.write(head);
  return stream;
}

/** Pieces with their number in front, until all are written or nobody takes any more. Answers how many bytes. */
async function send(
  stream: Duplex,
  total: number,
  hash: ReturnType<typeof createHash>,
  from = 0,
): Promise<number> {
  const base = Buffer.alloc(PIECE_BYTES, 7);
  for (let sent = from; sent < total; sent += PIECE_BYTES) {
    const piece = Buffer.from(base.subarray(0, Math.min(PIECE_BYTES, total - sent)));
    piece.writeUInt32BE(sent);
    hash.update(piece);
    if (stream.write(piece)) continue;
    const drained = new Promise<boolean>((resolve) => {
      stream.once('drain', () => {
        resolve(true);
      });
    });
    if (!(await Promise.race([drained, sleep(QUIET_MS, false)]))) return sent + piece.length;
  }
  return total;
}

async function receive(stream: Duplex, total: number): Promise<string> {
  const hash = createHash('sha256');
  let received = 0;
  return new Promise((resolve, reject) => {
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length;
      hash.update(chunk);
      if (received === total) resolve(hash.digest('hex'));
    });
    stream.once('close', () => {
      reject(new Error(`closed after ${received} bytes of ${total}`));
    });
  });
}

async function echo(transport: Transport, message: Buffer): Promise<void> {
  const stream = await headed(transport, PORT.echo, message.length);
  const heard = receive(stream, message.length);
  stream.write(message);
  expect(await heard).toBe(sha256(message));
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.end();
  await closed;
}

it.skipIf(SKIPPED)('hvsock carries streams to the guest and from it', async () => {
  const folder = temporaryFolder();
  const { vsock } = newVmPlace(folder);
  const image = join(folder, 'echo.eif');
  const program = await guestProgram('echo');
  writeTestImage(image, [program], [NODE, `/test/${program.name}`, ADDON]);
  const { vm, console } = await startGuest(image, vsock);
  const transport = hvsockTransport(vsock);
  await Promise.race([
    dial(transport, PORT.echo).then((stream) => stream.destroy()),
    vm.ended.then(() => {
      throw new Error(`the guest ended:\n${console()}`);
    }),
  ]);

  await expect(transport.connect(PORT.nobody)).rejects.toMatchObject({ code: 'ECONNRESET' });
  await echo(transport, randomBytes(100_000));
  await Promise.all(Array.from({ length: 100 }, () => echo(transport, randomBytes(5000))));

  // To a guest that does not read at first, and from a guest that nobody reads at first, at the same time.
  const [toGuest, fromGuest] = await Promise.all([
    headed(transport, PORT.sink, BULK_BYTES),
    headed(transport, PORT.source, BULK_BYTES),
  ]);
  const guestHash = receive(toGuest, 64);
  const hash = createHash('sha256');
  const held = await send(toGuest, BULK_BYTES, hash);
  expect(held, 'is held for a guest that does not read').toBeLessThan(MAX_HELD_BYTES);
  for (let sent = held; sent < BULK_BYTES;) sent = await send(toGuest, BULK_BYTES, hash, sent);
  expect(await guestHash).toBe(sha256(Buffer.from(hash.digest('hex'))));
  expect(fromGuest.readableLength).toBeLessThan(MAX_HELD_BYTES);
  const expected = createHash('sha256');
  for (let sent = 0; sent < BULK_BYTES; sent += GUEST_PIECE_BYTES) {
    const piece = Buffer.alloc(Math.min(GUEST_PIECE_BYTES, BULK_BYTES - sent), 7);
    piece.writeUInt32BE(sent);
    expected.update(piece);
  }
  expect(await receive(fromGuest, BULK_BYTES)).toBe(expected.digest('hex'));
  for (const stream of [toGuest, fromGuest]) stream.destroy();

  await sleep(QUIET_MS);
  const before = openDescriptors();
  for (let count = 0; count < 200; count++) {
    await echo(transport, randomBytes(100));
    (await headed(transport, PORT.echo, 10)).destroy();
    await expect(transport.connect(PORT.nobody)).rejects.toThrow('ECONNRESET');
  }
  await expect.poll(openDescriptors, { timeout: 60_000 }).toBeLessThanOrEqual(before);

  // The guest dials: CID 3 does not answer here, CID 2 does.
  const numbers: string[] = [];
  const listener = await transport.listen(PORT.host, (stream) => {
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => {
      numbers.push(String(chunk).trim());
      stream.end();
    });
  });
  const asking = await dial(transport, PORT.dial);
  asking.write(Buffer.from([200]));
  const answer = await new Promise<string>((resolve) => {
    asking.once('data', (chunk: Buffer) => {
      resolve(String(chunk));
    });
  });
  expect(answer).toBe('done');
  expect(numbers).toEqual(Array.from({ length: 200 }, (_, number) => String(number)));
  asking.destroy();
  await listener.close();

  (await dial(transport, PORT.end)).destroy();
  expect((await vm.ended).reason).toBe('exit code 0');
});
