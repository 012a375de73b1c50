import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Download } from '../../../eif/lock/download.ts';
import { downloadDirectly, downloadWithApt } from '../../../eif/lock/download.ts';
import type { FetchOptions } from '../../../eif/lock/fetch.ts';
import { fetchPackage, fetchPackages } from '../../../eif/lock/fetch.ts';
import type { ImageLock, LockedPackage } from '../../../eif/lock/lock.ts';
import { addressesOf, mirrorsOf } from '../../../eif/lock/sources.ts';
import { assertAccepted } from '../../../wire/result.ts';

const CONTENT = Buffer.alloc(100_000, 'a package ');
const WANTED: LockedPackage = {
  name: 'example',
  version: '1:1.0+b1',
  architecture: 'all',
  path: 'pool/main/e/example/example_1.0+b1_all.deb',
  bytes: CONTENT.length,
  sha256: createHash('sha256').update(CONTENT).digest('hex'),
  use: ['toolchain'],
};

/** How the mirror answers, one after the other; the last one goes on. */
type Answer = 'good' | 'wrong' | 'truncated' | 'endless' | 'gone' | 'broken';
let answers: Answer[] = [];
let asked: string[] = [];
let server: Server;
let base: string;
let cache: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const answer = (answers.length > 1 ? answers.shift() : answers[0]) ?? 'gone';
    if (answer === 'gone') {
      response.writeHead(404).end('not here');
      return;
    }
    if (answer === 'broken') {
      request.socket.destroy();
      return;
    }
    if (answer === 'truncated') {
      response.writeHead(200, { 'content-length': CONTENT.length });
      response.write(CONTENT.subarray(0, 1000), () => request.socket.destroy());
      return;
    }
    if (answer === 'endless') {
      response.writeHead(200);
      const more = (): void => {
        if (!response.destroyed) response.write(CONTENT, () => setImmediate(more));
      };
      more();
      return;
    }
    const wrong = Buffer.from(CONTENT);
    wrong[wrong.length - 1] = 0;
    response.writeHead(200).end(answer === 'good' ? CONTENT : wrong);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  base = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(async () => {
  asked = [];
  cache = await mkdtemp(join(tmpdir(), 'trackseal-cache-'));
  return async () => rm(cache, { recursive: true });
});

function options(download: Download, changes: Partial<FetchOptions> = {}): FetchOptions {
  return {
    cache,
    addresses: ({ path }) => [`${base}/${path}`],
    downloads: [download],
    pausesMs: [1, 1],
    ...changes,
  };
}

const cached = (): Promise<string[]> => readdir(join(cache, 'inputs'));

const hasApt = existsSync('/usr/lib/apt/apt-helper');
if (!hasApt) console.log('skipped: fetching with apt-helper, which is not here');
const WAYS: readonly (readonly [name: string, download: Download])[] = [
  ['directly', downloadDirectly],
  ...(hasApt ? ([['with apt', downloadWithApt]] as const) : []),
];

describe.each(WAYS)('a pinned package, fetched %s', (_name, download) => {
  it('is kept under its hash and not fetched again', async () => {
    answers = ['good'];
    const path = assertAccepted(await fetchPackage(WANTED, options(download)));
    expect(await readFile(path)).toEqual(CONTENT);
    expect(await cached()).toEqual([WANTED.sha256]);
    answers = ['gone'];
    expect(assertAccepted(await fetchPackage(WANTED, options(download)))).toBe(path);
    expect(asked.length).toBe(1);
  });

  it.each([['gone'], ['truncated'], ['broken'], ['wrong'], ['endless']] as const)(
    'comes after an answer that is %s',
    async (first) => {
      answers = [first, 'good'];
      const path = assertAccepted(await fetchPackage(WANTED, options(download)));
      expect(await readFile(path)).toEqual(CONTENT);
      expect(await cached()).toEqual([WANTED.sha256]);
    },
  );

  it.each([
    ['gone', 'input_unavailable'],
    ['truncated', 'input_unavailable'],
    ['endless', 'input_unavailable'],
    ['wrong', 'input_changed'],
  ] as const)('is refused when all answers are %s, and nothing is kept', async (answer, code) => {
    answers = [answer];
    const fetched = await fetchPackage(WANTED, options(download));
    expect(fetched).toMatchObject({
      ok: false,
      refusal: { code, detail: { package: 'example', sha256: WANTED.sha256, rounds: 3 } },
    });
    expect(asked.length).toBe(3);
    expect(await cached()).toEqual([]);
  });
});

const twoAddresses = (): readonly string[] => [`${base}/one`, `${base}/two`];

describe('the cache', () => {
  it('is not believed: a file that was changed in it is fetched again', async () => {
    answers = ['good'];
    const path = assertAccepted(await fetchPackage(WANTED, options(downloadDirectly)));
    await writeFile(path, 'planted');
    assertAccepted(await fetchPackage(WANTED, options(downloadDirectly)));
    expect(await readFile(path)).toEqual(CONTENT);
    await writeFile(path, 'planted');
    answers = ['gone'];
    expect((await fetchPackage(WANTED, options(downloadDirectly))).ok).toBe(false);
    expect(await cached()).toEqual([]);
  });

  it('is tried with every address before the next round', async () => {
    answers = ['gone', 'gone', 'good'];
    assertAccepted(
      await fetchPackage(WANTED, options(downloadDirectly, { addresses: twoAddresses })),
    );
    expect(asked).toEqual(['/one', '/two', '/one']);
  });

  it('gives all packages or the first refusal', async () => {
    answers = ['good'];
    const other = { ...WANTED, name: 'other' };
    const both = assertAccepted(await fetchPackages([WANTED, other], options(downloadDirectly)));
    expect([...both.keys()].sort()).toEqual(['example', 'other']);
    const wrong = { ...WANTED, sha256: 'ab'.repeat(32) };
    const refused = await fetchPackages([WANTED, wrong], options(downloadDirectly));
    expect(refused).toMatchObject({ ok: false, refusal: { code: 'input_changed' } });
  });
});

describe('the addresses of a package', () => {
  const debian: ImageLock['debian'] = { snapshot: '20261231T120000Z', packages: [] };
  const lock: ImageLock = { version: 1, debian, npm: [], bundles: [], files: [] };
  const mirrors = ['http://mirror.example/debian/', 'http://mirror.example/debian-security/'];

  it("are the machine's mirrors, Debian's, and the archive of old versions", () => {
    expect(addressesOf(WANTED, mirrors, lock)).toEqual([
      'http://mirror.example/debian/pool/main/e/example/example_1.0%2Bb1_all.deb',
      'http://deb.debian.org/debian/pool/main/e/example/example_1.0%2Bb1_all.deb',
      'https://snapshot.debian.org/archive/debian/20261231T120000Z/pool/main/e/example/example_1.0%2Bb1_all.deb',
      'https://snapshot.debian.org/archive/debian/20270101T235959Z/pool/main/e/example/example_1.0%2Bb1_all.deb',
    ]);
  });

  it('are those of the security archive for what is there', () => {
    const path = 'pool/updates/main/e/example/example_1_all.deb';
    const [first, second, third] = addressesOf({ ...WANTED, path }, mirrors, lock);
    expect(first).toBe(`http://mirror.example/debian-security/${path}`);
    expect(second).toBe(`http://deb.debian.org/debian-security/${path}`);
    expect(third).toContain('/archive/debian-security/20261231T120000Z/');
  });

  it('come from what apt would update from, without archives of others', () => {
    const uris = [
      "'http://mirror.example/debian/dists/bookworm/InRelease' mirror_InRelease 0 ",
      "'http://mirror.example/debian/dists/bookworm-updates/InRelease' mirror_InRelease 0 ",
      "'http://mirror.example/debian-security/dists/bookworm-security/InRelease' x 0 ",
      "'https://deb.nodesource.com/node_20.x/dists/nodistro/InRelease' y 0 ",
      "'https://packages.example/apt/dists/cloud-bookworm/InRelease' z 0 ",
    ];
    expect(mirrorsOf(uris.join('\n'))).toEqual([
      'http://mirror.example/debian',
      'http://mirror.example/debian-security',
    ]);
  });
});
