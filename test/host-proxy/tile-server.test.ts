import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseLogPath } from '../../host-proxy/log-path.ts';
import { TileServer } from '../../host-proxy/tile-server.ts';
import { entriesPath, tilePath } from '../../wire/tlog/tile.ts';

const E = '/epochs/0000000001';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe('paths of the log folder', () => {
  it('serves whatever tlog-tiles and our layout name', () => {
    for (const index of [0, 999, 1000, 1_234_067, 999_999_999]) {
      for (const width of [1, 9, 10, 99, 100, 199, 200, 249, 250, 255, 256]) {
        expect(parseLogPath(`${E}/${entriesPath(index, width)}`)).not.toBeNull();
        expect(parseLogPath(`${E}/${tilePath(63, index, width)}`)).not.toBeNull();
      }
    }
    expect(parseLogPath(`/blobs/${'a'.repeat(64)}`)).toMatchObject({ immutable: true });
    expect(parseLogPath(`${E}/checkpoint`)).toMatchObject({ immutable: false });
    expect(parseLogPath(`${E}/commits/${'0'.repeat(20)}-${'1'.repeat(20)}`)).not.toBeNull();
  });

  it.each([
    '/',
    '/tmp/0',
    '/epochs/../tmp/0',
    '/epochs/1/checkpoint',
    '/epochs/00000000001/checkpoint',
    `${E}/checkpoint/`,
    `${E}/checkpoint?x=1`,
    `${E}/../0000000002/checkpoint`,
    `${E}/tile/0/../../checkpoint`,
    `${E}/tile/0/%2e%2e/checkpoint`,
    `${E}//checkpoint`,
    `${E}/tile/64/000`,
    `${E}/tile/00/000`,
    `${E}/tile/0/000.p/0`,
    `${E}/tile/0/000.p/256`,
    `${E}/tile/0/000.p/01`,
    `${E}/tile/0/0000`,
    `${E}/tile/0/000\u0000`,
    `${E}/tile/0/000\n`,
    `${E}\\checkpoint`,
    `/blobs/${'A'.repeat(64)}`,
    `/blobs/${'a'.repeat(63)}`,
    `/blobs/../tmp/${'a'.repeat(64)}`,
    `http://127.0.0.1${E}/checkpoint`,
    `${E}/commits/..`,
    `${E}/tile/0/${'x001/'.repeat(40)}001`,
  ])('does not serve %j', (path) => {
    expect(parseLogPath(path)).toBeNull();
  });
});

describe('tile server', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tiles-'));
  const log = join(directory, 'log');
  let server: TileServer;

  const put = (path: string, content: string): void => {
    mkdirSync(dirname(join(log, path)), { recursive: true });
    writeFileSync(join(log, path), content);
  };

  const ask = (path: string, method = 'GET'): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const asked = request({ port: server.port, host: '127.0.0.1', path, method }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
        });
      });
      asked.on('error', reject);
      asked.end();
    });

  beforeAll(async () => {
    put('epochs/0000000001/checkpoint', 'trackseal.test/e0000000001\n7\nroot\n\n— x y\n');
    put('epochs/0000000001/tile/0/000', 'tile');
    put('epochs/0000000001/tile/0/001', '');
    put('epochs/0000000001/commits/00000000000000000000-00000000000000000006', 'notes');
    put('tmp/0', 'unfinished');
    writeFileSync(join(directory, 'secret'), 'secret');
    put('epochs/0000000001/tile/0/004/x', 'in a folder with the name of a tile');
    symlinkSync(join(directory, 'secret'), join(log, 'epochs/0000000001/tile/0/002'));
    server = await TileServer.listen({ logDirectory: log, port: 0 });
  });

  afterAll(async () => {
    await server.close();
    rmSync(directory, { recursive: true });
  });

  it('serves files with types and cache headers', async () => {
    const tile = await ask(`${E}/tile/0/000`);
    expect(tile).toMatchObject({ status: 200, body: 'tile' });
    expect(tile.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'cache-control': 'public, max-age=604800, immutable',
      'content-length': '4',
      'x-content-type-options': 'nosniff',
    });
    const checkpoint = await ask(`${E}/checkpoint`);
    expect(checkpoint.status).toBe(200);
    expect(checkpoint.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-cache',
    });
    expect(await ask(`${E}/tile/0/001`)).toMatchObject({ status: 200, body: '' });
  });

  it('lists epochs and commit files', async () => {
    const epochs = await ask('/epochs');
    expect(JSON.parse(epochs.body)).toEqual([
      { epoch: 1, origin: 'trackseal.test/e0000000001', size: 7 },
    ]);
    const commits = await ask(`${E}/commits/`);
    expect(JSON.parse(commits.body)).toEqual(['00000000000000000000-00000000000000000006']);
    expect(JSON.parse((await ask('/epochs/0000000009/commits')).body)).toEqual([]);
  });

  it('answers HEAD without a body, and no other method', async () => {
    expect(await ask(`${E}/tile/0/000`, 'HEAD')).toMatchObject({ status: 200, body: '' });
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const answer = await ask(`${E}/tile/0/000`, method);
      expect(answer).toMatchObject({ status: 405 });
      expect(answer.headers.allow).toBe('GET, HEAD');
    }
  });

  it.each(['100-continue', 'x'])('answers a request that expects %s once', async (expected) => {
    const socket = connect(server.port, '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const headers = ['Host: x', 'Connection: close', `Expect: ${expected}`];
    socket.write(['GET /nowhere HTTP/1.1', ...headers, '', ''].join('\r\n'));
    await new Promise((resolve) => socket.once('close', resolve));
    const answers = Buffer.concat(chunks).toString('latin1').split('HTTP/1.1 ').slice(1);
    expect(answers.map((answer) => answer.slice(0, 3))).toEqual(['404']);
  });

  it.each([
    '/tmp/0',
    '/../secret',
    '/epochs/../../secret',
    '/..%2fsecret',
    '/epochs/..%2f..%2fsecret',
    '/epochs/%2e%2e/%2e%2e/secret',
    '//etc/passwd',
    '/epochs/0000000001/tile/0',
    '/epochs/0000000001/tile/0/002',
    '/epochs/0000000001/tile/0/003',
    '/epochs/0000000001/tile/0/004',
    '/blobs/',
    '/etc/passwd',
  ])('does not find %s', async (path) => {
    const answer = await ask(path);
    expect(answer).toMatchObject({ status: 404, body: '{"error":"not_found"}\n' });
  });
});
