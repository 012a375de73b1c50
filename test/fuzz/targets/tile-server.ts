// host-proxy/tile-server.ts: requests for files. No path leaves the folder or reaches what is not served, and
// no request of whatever form brings the server down.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseLogPath } from '../../../host-proxy/log-path.ts';
import { TileServer } from '../../../host-proxy/tile-server.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import { mutateHttp } from '../mutate/http.ts';
import type { Target } from '../target.ts';
import { expectThat } from '../target.ts';
import type { Answer } from './http-answers.ts';
import { converse, piecesOf, readAnswers } from './http-answers.ts';

const E = '/epochs/0000000001';
const SECRET = 'nobody may read this';
const BLOB = 'a'.repeat(64);
const COMMITS = '00000000000000000000-00000000000000000006';
const SERVED: ReadonlyMap<string, string> = new Map([
  [`${E}/checkpoint`, 'trackseal.test/log/e0000000001\n7\nroot\n\n— x y\n'],
  [`${E}/tile/0/000`, 'a tile'],
  [`${E}/tile/0/000.p/7`, 'part of a tile'],
  [`${E}/tile/entries/x001/000`, 'a bundle'],
  [`${E}/commits/${COMMITS}`, 'notes'],
  [`/blobs/${BLOB}`, 'a blob'],
]);
const LISTS: readonly string[] = [
  '[{"epoch":1,"origin":"trackseal.test/log/e0000000001","size":7}]\n',
  `["${COMMITS}"]\n`,
  '[]\n',
  '{"error":"not_found"}\n',
  '{"error":"method_not_allowed"}\n',
];
/** Ours, and what node answers to what is no HTTP. */
const STATUSES: ReadonlySet<number> = new Set([200, 400, 404, 405, 408, 413, 431]);

function makeFolder(): { readonly directory: string; readonly log: string } {
  const directory = mkdtempSync(join(tmpdir(), 'fuzz-tiles-'));
  const log = join(directory, 'log');
  const put = (path: string, content: string): void => {
    mkdirSync(dirname(join(log, path)), { recursive: true });
    writeFileSync(join(log, path), content);
  };
  for (const [path, content] of SERVED) put(path, content);
  put('tmp/0', SECRET);
  put(`${E}/tile/0/004/x`, SECRET);
  put('../secret', SECRET);
  symlinkSync(join(directory, 'secret'), join(log, E, 'tile/0/002'));
  return { directory, log };
}

const CONTENTS: readonly string[] = [...SERVED.values(), ...LISTS];

function checkAnswer({ status, body }: Answer): string {
  expectThat(STATUSES.has(status), `status ${status}`);
  const text = body.toString('utf8');
  expectThat(text === '' || CONTENTS.includes(text), 'an answer that nobody put there');
  return `${status} ${CONTENTS.indexOf(text)}`;
}

/** The server that `start` makes listen. */
async function captureServer(start: () => Promise<TileServer>): Promise<Server> {
  const listen = Reflect.get(Server.prototype, 'listen') as Server['listen'];
  const { promise, resolve } = Promise.withResolvers<Server>();
  Server.prototype.listen = function captured(this: Server, ...rest: unknown[]) {
    resolve(this);
    return Reflect.apply(listen, this, rest) as Server;
  };
  await start();
  Server.prototype.listen = listen;
  return promise;
}

const PATHS = [
  ...SERVED.keys(),
  '/epochs',
  '/epochs/',
  `${E}/commits`,
  '/epochs/0000000009/commits/',
  `${E}/tile/0/002`,
  `${E}/tile/0/004`,
  '/tmp/0',
  '/../secret',
  '/epochs/../../secret',
  '/blobs/../../secret',
];

export async function tileServerTarget(): Promise<Target> {
  const { directory, log } = makeFolder();
  process.once('exit', () => {
    rmSync(directory, { recursive: true, force: true });
  });
  const server = await captureServer(() => TileServer.listen({ logDirectory: log, port: 0 }));
  const requests = PATHS.map((path) => utf8(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`));
  const other = ['HEAD', 'PUT', 'OPTIONS'].map((method) =>
    utf8(`${method} ${E}/checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`),
  );
  return {
    name: 'tile-server',
    files: ['host-proxy/tile-server.ts', 'host-proxy/log-path.ts'],
    maxBytes: 100_000,
    seeds: [...requests, ...other],
    mutate: mix([6, mutateHttp(PATHS)], [1, mutateBytes]),
    run: async (input) => {
      const received = await converse((stream) => {
        server.emit('connection', stream);
      }, piecesOf(input));
      const outcomes = readAnswers(received).map((answer) => checkAnswer(answer));
      return [...new Set(outcomes)].slice(0, 3).join(' ');
    },
    maxSteps: { base: 100_000, perByte: 100 },
  };
}

/** Paths alone, which is a thousand times faster: none that is served leaves the folder. */
export function logPathTarget(): Target {
  return {
    name: 'log-path',
    files: ['host-proxy/log-path.ts'],
    maxBytes: 1024,
    seeds: PATHS.map((path) => utf8(path)),
    mutate: mix([1, mutateBytes]),
    run: (input) => {
      const path = Buffer.from(input).toString('latin1');
      const parsed = parseLogPath(path);
      if (parsed === null) return 'not served';
      if (parsed.type !== 'file') return parsed.type;
      expectThat(parsed.path === path, 'another path than was asked for');
      expectThat(join('/log', path) === `/log${path}`, 'a path that is not plain');
      expectThat(/^[/a-z0-9.-]+$/u.test(path), 'a character that no path of ours has');
      return `${parsed.type} ${parsed.immutable}`;
    },
  };
}
