// Clients of the tile server that read slowly, not at all, too much at once, or that go away.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TileServer } from '../../host-proxy/tile-server.ts';

const FILE = '/epochs/0000000001/tile/entries/000';
const FILE_BYTES = 64 * 1024 * 1024;
const LIST = '/epochs/0000000001/commits';

let directory: string;
let server: TileServer;
let clients: Socket[] = [];

/** How far each open file of the log folder has been read, in bytes. */
function openFiles(): readonly number[] {
  return readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      if (!readlinkSync(`/proc/self/fd/${name}`).startsWith(directory)) return [];
      const info = readFileSync(`/proc/self/fdinfo/${name}`, 'utf8');
      return [Number(/^pos:\s*(\d+)$/mu.exec(info)?.[1])];
    } catch {
      // The descriptor that lists this folder.
      return [];
    }
  });
}

/** Sends the text on a connection of its own and reads nothing. */
function send(text: string): Promise<Socket> {
  return new Promise((resolve) => {
    const client = connect(server.port, '127.0.0.1', () => {
      client.write(text, () => {
        resolve(client);
      });
    });
    client.on('error', () => undefined);
    client.pause();
    clients.push(client);
  });
}

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
}

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly bytes: number;
}

function ask(path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { port: server.port, host: '127.0.0.1', path, agent: false };
    request(options, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on('end', () => {
        const retryAfter = response.headers['retry-after'];
        resolve({ status: response.statusCode ?? 0, retryAfter, bytes });
      });
    })
      .on('error', reject)
      .end();
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Waits until nothing is read any more. */
async function stuck(): Promise<readonly number[]> {
  for (;;) {
    const before = openFiles();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = openFiles();
    if (now.length > 0 && now.join(' ') === before.join(' ')) return now;
  }
}

describe('readers of the tile server', () => {
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'readers-'));
    mkdirSync(join(directory, 'epochs/0000000001/tile/entries'), { recursive: true });
    mkdirSync(join(directory, LIST));
    writeFileSync(join(directory, FILE), '');
    truncateSync(join(directory, FILE), FILE_BYTES);
    for (let at = 0; at < 200; at++) {
      const name = String(at).padStart(20, '0');
      writeFileSync(join(directory, LIST, `${name}-${name}`), '');
    }
    clients = [];
    server = await TileServer.listen({ logDirectory: directory, port: 0, maxListBytes: 1 });
  });

  afterEach(async () => {
    for (const client of clients) client.destroy();
    await server.close();
    await until(() => openFiles().length === 0);
    rmSync(directory, { recursive: true });
  });

  it('that read nothing cost no more than what the sockets take, many of them too', async () => {
    const readers = 100;
    const before = process.memoryUsage().arrayBuffers;
    for (let reader = 0; reader < readers; reader++) await send(get(FILE));
    await until(() => openFiles().length === readers);
    const positions = await stuck();
    expect(positions).toHaveLength(readers);
    // What the kernel's buffers take (up to 10 MiB a connection), and a few reads of 64 KiB in here.
    expect(Math.max(...positions)).toBeLessThan(FILE_BYTES / 4);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(readers * 1024 * 1024);
    // Others are served meanwhile.
    expect(await ask(FILE)).toMatchObject({ status: 200, bytes: FILE_BYTES });
  });

  it('that do not wait for an answer lose the connection, and open one file', async () => {
    const client = await send(get(FILE).repeat(1000));
    const closed = new Promise((resolve) => client.once('close', resolve));
    let most = 0;
    client.resume();
    const watch = setInterval(() => {
      most = Math.max(most, openFiles().length);
    }, 1);
    await closed;
    await until(() => openFiles().length === 0);
    clearInterval(watch);
    expect(most).toBeLessThanOrEqual(1);
    expect(await ask(FILE)).toMatchObject({ status: 200, bytes: FILE_BYTES });
  });

  it('may ask for one thing after the other on a connection', async () => {
    const client = await send(get('/epochs'));
    let text = '';
    client.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    client.resume();
    await until(() => text.endsWith('[]\n'));
    client.write(get('/epochs'));
    await until(() => text.split('HTTP/1.1 200').length === 3);
    expect(text.split('[]\n')).toHaveLength(3);
  });

  it('that are gone before their file is open leave no file open', async () => {
    // Together, so that opening takes a while, and at different moments of it.
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, reader) => {
          const client = await send(get(FILE));
          await new Promise((resolve) => setTimeout(resolve, reader % 7));
          client.resetAndDestroy();
        }),
      );
    }
    await until(() => openFiles().length === 0);
    expect(await ask(FILE)).toMatchObject({ status: 200, bytes: FILE_BYTES });
  });

  it('of lists give back what they took of the budget', async () => {
    for (let round = 0; round < 3; round++) {
      // What one who has gone took comes back as well, if a moment later.
      while ((await ask(LIST)).status !== 200);
      const gone = await send(get(LIST));
      gone.resetAndDestroy();
    }
    // Whoever comes while another is answered may have to come again.
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(LIST)));
    for (const { status, retryAfter } of answers) {
      expect([
        [200, undefined],
        [503, '1'],
      ]).toContainEqual([status, retryAfter]);
    }
    expect(answers.some(({ status }) => status === 200)).toBe(true);
    expect(await ask(LIST)).toMatchObject({ status: 200 });
  });
});
