import { mkdtemp, readdir, rm } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VsockDevice } from '../../../simulator/vsock-device.ts';
import { hvsockTransport } from '../../../wire/node/hvsock.ts';
import { connectUnix } from '../../../wire/node/unix.ts';

let directory = '';
let path = '';
let server: Server | null = null;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ts-'));
  path = join(directory, 'vm.vsock');
});
afterEach(async () => {
  server?.close();
  server = null;
  await rm(directory, { recursive: true });
});

/** A device that does as it is told with each connection. */
async function device(onSocket: (socket: Socket) => void): Promise<void> {
  const listening = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  server = listening;
  await new Promise<void>((resolve) => {
    listening.listen(path, resolve);
  });
}

function textOf(stream: Duplex, bytes: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.length >= bytes) resolve(text);
    });
  });
}

function end(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    stream.once('end', resolve);
    stream.resume();
  });
}

/** How many bytes the line may come in, one turn of the loop after the other. */
async function inPieces(socket: Socket, text: string, bytes: number): Promise<void> {
  for (let at = 0; at < text.length; at += bytes) {
    socket.write(text.slice(at, at + bytes));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe('hvsock: dials', () => {
  it('with one line, and nothing after it before the answer', async () => {
    const heard: string[] = [];
    await device((socket) => {
      socket.once('data', (line: Buffer) => {
        heard.push(String(line));
        setTimeout(() => socket.write('OK 1073741824\n'), 20);
      });
    });
    const stream = await hvsockTransport(path).connect(5000);
    expect(heard).toEqual(['CONNECT 5000\n']);
    stream.destroy();
  });

  it.each([1, 2, 3, 5, 100])('and takes the answer in pieces of %i bytes', async (bytes) => {
    await device((socket) => {
      socket.once('data', () => void inPieces(socket, 'OK 5000\nafter the line', bytes));
    });
    const stream = await hvsockTransport(path).connect(5000);
    expect(await textOf(stream, 14)).toBe('after the line');
    stream.destroy();
  });

  it('and keeps what came with the answer, however late it is read, and the end', async () => {
    await device((socket) => {
      socket.once('data', () => socket.end(`OK 5000\n${'x'.repeat(100_000)}`));
    });
    const stream = await hvsockTransport(path).connect(5000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    await new Promise((resolve) => stream.once('end', resolve));
    expect(text).toBe('x'.repeat(100_000));
    stream.destroy();
  });

  it('and hears an end that came with the answer', async () => {
    await device((socket) => {
      socket.once('data', () => socket.end('OK 5000\n'));
    });
    const stream = await hvsockTransport(path).connect(5000);
    await end(stream);
    expect(stream.readableEnded).toBe(true);
    stream.destroy();
  });

  it.each([
    ['another word', 'NO 5000\n'],
    ['no number', 'OK\n'],
    ['an empty line', '\n'],
    ['a sign', 'OK -1\n'],
    ['two spaces', 'OK  1\n'],
    ['more words', 'OK 1 2\n'],
    ['eleven digits', 'OK 12345678901\n'],
    ['a carriage return', 'OK 5000\r\n'],
    ['zeros', '\0\0\0\n'],
    ['32 bytes without an end', 'x'.repeat(32)],
    ['endless bytes', 'x'.repeat(200_000)],
    ['a line of 32 bytes', `OK ${'1'.repeat(28)}\n`],
  ])('refuses %s', async (_, answer) => {
    let closed: Promise<unknown> = Promise.resolve();
    await device((socket) => {
      closed = new Promise((resolve) => socket.once('close', resolve));
      socket.once('data', () => socket.write(answer));
      socket.on('end', () => socket.end()).resume();
    });
    const dialled = hvsockTransport(path).connect(5000);
    await expect(dialled).rejects.toMatchObject({ code: 'EPROTO' });
    await closed;
  });

  it('waits for a line of up to 31 bytes without an end, and takes ten digits', async () => {
    await device((socket) => {
      socket.once('data', () => void inPieces(socket, 'OK 4294967295\n', 13));
    });
    const stream = await hvsockTransport(path).connect(5000);
    stream.destroy();
    server?.close();
    await device((socket) => {
      socket.once('data', () => socket.write('x'.repeat(31)));
    });
    const dialled = hvsockTransport(path, { handshakeMs: 100 }).connect(5000);
    await expect(dialled).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  });

  it.each([
    ['at once', ''],
    ['in the middle of the line', 'OK 50'],
  ])('says ECONNRESET when the device closes %s', async (_, answer) => {
    await device((socket) => {
      socket.once('data', () => socket.end(answer));
    });
    const dialled = hvsockTransport(path).connect(5000);
    await expect(dialled).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('gives up on a device that is slow byte by byte, and closes the socket', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    await device((socket) => {
      closed = new Promise((resolve) => socket.once('close', resolve));
      socket.on('end', () => socket.end()).resume();
      const timer = setInterval(() => socket.write('O'), 30);
      socket.on('close', () => {
        clearInterval(timer);
      });
    });
    const dialled = hvsockTransport(path, { handshakeMs: 150 }).connect(5000);
    await expect(dialled).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    await closed;
  });

  it('says what the system says when there is no device', async () => {
    await expect(hvsockTransport(path).connect(1)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('leaves an error after the answer to the stream', async () => {
    await device((socket) => {
      socket.once('data', () => socket.write('OK 1\n'));
    });
    const stream = await hvsockTransport(path).connect(1);
    const failed = new Promise((resolve) => stream.once('error', resolve));
    stream.destroy(new Error('mine'));
    expect(await failed).toMatchObject({ message: 'mine' });
  });
});

describe('hvsock: listens', () => {
  it('on PATH_<port>, and removes the file when it closes', async () => {
    const transport = hvsockTransport(path);
    const listener = await transport.listen(7001, (stream) => stream.end('hello'));
    expect(await readdir(directory)).toEqual(['vm.vsock_7001']);
    const socket = await connectUnix(`${path}_7001`);
    expect(await textOf(socket, 5)).toBe('hello');
    socket.destroy();
    await listener.close();
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('the stand-in for the device', () => {
  let standIn: VsockDevice;
  beforeEach(async () => {
    standIn = await VsockDevice.open(path);
  });
  afterEach(() => {
    standIn.close();
  });

  it.each(['CONNECT x\n', 'DIAL 1\n', 'CONNECT 5000', 'CONNECT\n', '\n', 'CONNECT 5001\n'])(
    'closes the socket after %j',
    async (line) => {
      await standIn.guest.listen(5000, (stream) => stream.destroy());
      const socket = await connectUnix(path);
      socket.write(line);
      await end(socket);
      expect(socket.bytesRead).toBe(0);
      socket.destroy();
    },
  );

  it('carries the end of the host as the end of both', async () => {
    const guests: Duplex[] = [];
    await standIn.guest.listen(5000, (stream) => guests.push(stream));
    const host = await hvsockTransport(path).connect(5000);
    host.end('last');
    const [guest] = guests;
    if (guest === undefined) throw new Error('nobody came');
    let heard = '';
    guest.on('data', (chunk: Buffer) => {
      heard += String(chunk);
    });
    await new Promise((resolve) => guest.once('end', resolve));
    expect(heard).toBe('last');
    const failed = new Promise((resolve) => guest.once('error', resolve));
    guest.write('too late');
    expect(await failed).toMatchObject({ code: 'EPIPE' });
    host.destroy();
  });

  it('shows the end of the guest only when its stream is closed', async () => {
    const guests: Duplex[] = [];
    await standIn.guest.listen(5000, (stream) => guests.push(stream));
    const host = await hvsockTransport(path).connect(5000);
    let ended = false;
    host.on('end', () => {
      ended = true;
    });
    host.resume();
    const [guest] = guests;
    if (guest === undefined) throw new Error('nobody came');
    guest.end('bye');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(ended).toBe(false);
    guest.destroy();
    await new Promise((resolve) => host.once('end', resolve));
    host.destroy();
  });
});
