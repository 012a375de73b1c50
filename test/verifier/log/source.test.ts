import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EpochFiles } from '../../../verifier/log/epoch-files.ts';
import { listEpochs } from '../../../verifier/log/epoch-list.ts';
import { readAhead } from '../../../verifier/log/read-ahead.ts';
import type { LogSource } from '../../../verifier/log/source.ts';
import { FolderSource, HttpSource } from '../../../verifier/log/source.ts';
import type { Result } from '../../../wire/result.ts';
import { accept, assertAccepted } from '../../../wire/result.ts';

function codeOf(result: Result<unknown>): string {
  return result.ok ? 'accepted' : result.refusal.code;
}

/** Answers each path with a status and a body. */
const ANSWERS = new Map<string, readonly [number, string]>([
  ['/ok', [200, '12345']],
  ['/error', [500, '']],
  ['/moved', [302, '']],
  ['/epochs/', [200, '[{"epoch": 3}, {"epoch": 1}, "0000000002", "tmp"]']],
  ['/html/', [200, '<html>']],
  ['/numbers/', [200, '[1, 2]']],
  ['/object/', [200, '{}']],
]);

const server = createServer((request, response) => {
  const [status, body] = ANSWERS.get(request.url ?? '') ?? [404, ''];
  response.writeHead(status, status === 302 ? { Location: '/ok' } : {});
  response.end(body);
});
let source: LogSource;

beforeAll(async () => {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  source = new HttpSource(new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
});

afterAll(() => {
  server.close();
  server.closeAllConnections();
});

describe('a log in a folder', () => {
  it('is read within limits', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'trackseal-source-'));
    const folder = new FolderSource(directory);
    await writeFile(join(directory, 'file'), '12345');
    expect(assertAccepted(await folder.read('file', 5))).toHaveLength(5);
    expect(codeOf(await folder.read('file', 4))).toBe('file_unreadable');
    expect(codeOf(await folder.read('.', 4))).toBe('file_unreadable');
    expect(assertAccepted(await folder.read('missing', 4))).toBeNull();
    expect(assertAccepted(await folder.read('file/below', 4))).toBeNull();
    expect(assertAccepted(await folder.list('.'))).toEqual(['file']);
    expect(assertAccepted(await folder.list('file'))).toBeNull();
    expect(assertAccepted(await folder.list('missing'))).toBeNull();
    expect(codeOf(await folder.read('x'.repeat(300), 4))).toBe('file_unreadable');
    expect(codeOf(await folder.list('x'.repeat(300)))).toBe('file_unreadable');
    await rm(directory, { recursive: true });
  });
});

describe('a log behind a URL', () => {
  it('is read within limits', async () => {
    expect(assertAccepted(await source.read('ok', 5))).toHaveLength(5);
    expect(codeOf(await source.read('ok', 4))).toBe('file_unreadable');
    expect(assertAccepted(await source.read('missing', 4))).toBeNull();
    expect(codeOf(await source.read('error', 4))).toBe('source_unreachable');
    // A redirect could lead anywhere, into the auditor's own network too.
    expect(codeOf(await source.read('moved', 9))).toBe('source_unreachable');
  });

  it('lists epochs by name or number', async () => {
    expect(assertAccepted(await listEpochs(source))).toEqual([1, 2, 3]);
    for (const path of ['html', 'numbers', 'object', 'missing']) {
      expect(assertAccepted(await source.list(path))).toBeNull();
    }
    expect(codeOf(await source.list('../error'))).toBe('accepted');
  });
});

describe('the files of an epoch', () => {
  it('may be gone after they were listed', async () => {
    const gone: LogSource = {
      name: 'gone',
      read: () => Promise.resolve(accept(null)),
      list: () => Promise.resolve(accept(['00000000000000000000-00000000000000000001'])),
    };
    const files = new EpochFiles(gone, null);
    const [file] = assertAccepted(await files.commits()) ?? [];
    if (file === undefined) throw new Error('nothing listed');
    expect(file).toMatchObject({ first: 0, last: 1 });
    expect(codeOf(await files.notes(file))).toBe('tile_missing');
    expect(codeOf(await files.leaves(0, 5))).toBe('tile_missing');
  });
});

describe('reading ahead', () => {
  it('keeps the order and a bound', async () => {
    let [running, most] = [0, 0];
    const seen: number[] = [];
    const read = async (index: number): Promise<number> => {
      running++;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, (7 - index) % 3));
      running--;
      return index;
    };
    for await (const index of readAhead(7, 3, read)) seen.push(index);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(most).toBe(3);
    for await (const index of readAhead(7, 3, read)) if (index === 1) break;
    expect(running).toBe(0);
    for await (const index of readAhead(0, 3, read)) seen.push(index);
    expect(seen).toHaveLength(7);
  });
});
