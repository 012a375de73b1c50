import { execFile, spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../../eif/build/bundles.ts';
import { exampleFiles } from '../../../eif/build/image.ts';
import { measuredOf } from '../../../eif/build/measured.ts';
import { digestFile, cacheFolder } from '../../../eif/lock/files.ts';
import { readLock } from '../../../eif/lock/read.ts';
import { parseManifest } from '../../../wire/manifest.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { toHex } from '../../../wire/bytes.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { packagesFolder } from './support.ts';

let folder: string;
let packages: string;

async function file(name: string, content: string | object): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function publicKey(namedCurve: string): string {
  const { publicKey: key } = generateKeyPairSync('ec', { namedCurve });
  return key.export({ type: 'spki', format: 'pem' });
}

const COMMITMENT = { name: 'one', version: '1.0.0', commitment: 'ab'.repeat(32) };
const HOSTS = {
  hosts: [{ host: 'exchange.example', port: 443 }],
  roots: ['B_Root.crt', 'A_Root.crt', 'B_Root.crt'],
};
const NOTHING = { commitments: [], owner: null, hosts: null } as const;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-measured-'));
  packages = await packagesFolder();
});

afterAll(async () => {
  await rm(folder, { recursive: true });
  await rm(packages, { recursive: true });
});

const refusal = (code: string): object => ({ ok: false, refusal: { code } });

// An image takes its roots out of the pinned package. Where a build has it in its cache it is read here; the
// installed one stands in for it otherwise, with the same names and maybe other versions.
const INSTALLED = '/usr/share/ca-certificates/mozilla';
const PINNED = assertAccepted(await readLock()).debian.packages.find(
  ({ name }) => name === 'ca-certificates',
);
const CACHED = join(cacheFolder(process.env), 'inputs', PINNED?.sha256 ?? 'none');
const HAVE_INSTALLED = existsSync(INSTALLED);
const HAVE_PINNED = existsSync(CACHED) && spawnSync('dpkg-deb', ['--version']).status === 0;
if (!HAVE_INSTALLED) console.log(`not here: ${INSTALLED}, so its roots are not read`);
if (!HAVE_PINNED) console.log('not here: the pinned ca-certificates (make eif), or dpkg-deb');

const EXAMPLE = join(ROOT, 'eif/hosts.example.json');

function commonNames(roots: Uint8Array): readonly string[] {
  const blocks = Buffer.from(roots)
    .toString('utf8')
    .split(/(?<=-----END CERTIFICATE-----\n)/u);
  const certificates = blocks
    .filter((text) => text !== '')
    .map((text) => new X509Certificate(text));
  for (const certificate of certificates) {
    expect(certificate.ca).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
  }
  return certificates.map(({ subject }) => /CN=(.*)/u.exec(subject)?.[1] ?? '');
}

const AWS_ROOTS = [
  ...[1, 2, 3, 4].map((number) => `Amazon Root CA ${number}`),
  'Starfield Services Root Certificate Authority - G2',
];

describe('the example of hosts', () => {
  it.skipIf(!HAVE_INSTALLED)('names roots that are there, and those of AWS', async () => {
    const measured = await measuredOf({ ...NOTHING, hosts: EXAMPLE }, '/');
    const { manifest, roots } = assertAccepted(measured);
    expect(commonNames(roots)).toEqual(AWS_ROOTS);
    const { hosts } = assertAccepted(parseManifest(manifest));
    expect(hosts.map(({ port }) => port)).toEqual([443, 443]);
  });

  it.skipIf(!HAVE_INSTALLED)('may give a host some of the roots, and no others', async () => {
    const names = ['Amazon_Root_CA_1.crt', 'Amazon_Root_CA_3.crt'];
    const hostsOf = (roots: readonly string[]): object => ({
      hosts: [
        { host: 'a.example.com', port: 443, roots },
        { host: 'b.example.com', port: 443 },
      ],
      roots: names,
    });
    const hosts = await file('some.json', hostsOf(names.slice(1)));
    const { manifest } = assertAccepted(await measuredOf({ ...NOTHING, hosts }, '/'));
    const third = new X509Certificate(await readFile(join(INSTALLED, names[1] ?? '')));
    const expected = toHex(nodeCrypto.sha256(third.raw));
    const read = assertAccepted(parseManifest(manifest));
    expect(read.hosts.map(({ roots }) => roots)).toEqual([[expected], undefined]);
    const other = await file('other.json', hostsOf(['Amazon_Root_CA_2.crt']));
    expect(await measuredOf({ ...NOTHING, hosts: other }, '/')).toMatchObject({
      refusal: { code: 'usage_invalid', detail: { root: 'Amazon_Root_CA_2.crt' } },
    });
  });

  it.skipIf(!HAVE_PINNED)('selects from the pinned package, byte for byte', async () => {
    expect(await digestFile(CACHED)).toMatchObject({ sha256: PINNED?.sha256 });
    const unpacked = join(folder, 'pinned');
    await promisify(execFile)('dpkg-deb', ['--extract', CACHED, unpacked]);
    const measured = await measuredOf({ ...NOTHING, hosts: EXAMPLE }, unpacked);
    const { manifest, roots } = assertAccepted(measured);
    expect(commonNames(roots)).toEqual(AWS_ROOTS);
    const { roots: names } = JSON.parse(await readFile(EXAMPLE, 'utf8')) as { roots: string[] };
    const files = names.map((name) =>
      readFile(join(unpacked, 'usr/share/ca-certificates/mozilla', name)),
    );
    expect(Buffer.compare(roots, Buffer.concat(await Promise.all(files)))).toBe(0);
    const read = assertAccepted(parseManifest(manifest));
    expect(read.roots_sha256).toBe(toHex(nodeCrypto.sha256(roots)));
  });
});

describe('what an image measures', () => {
  it('are commitments, owner, hosts and the roots that these need', async () => {
    const files = {
      commitments: [
        await file('two.json', { ...COMMITMENT, name: 'two' }),
        await file('one.json', COMMITMENT),
      ],
      owner: await file('owner.pem', publicKey('P-256')),
      hosts: await file('hosts.json', HOSTS),
    };
    const { manifest, roots } = assertAccepted(await measuredOf(files, packages));
    expect(Buffer.from(roots).toString('utf8')).toBe('certificate A\ncertificate B\n');
    const read = assertAccepted(parseManifest(manifest));
    expect(read.strategies.map(({ name }) => name)).toEqual(['one', 'two']);
    expect(read.hosts).toEqual(HOSTS.hosts);
    expect(read.owner_key).toMatch(/^3059/u);
    expect(read.roots_sha256).toBe(toHex(nodeCrypto.sha256(roots)));
  });

  it('is the example strategy without options', async () => {
    const { manifest, roots } = assertAccepted(await measuredOf(exampleFiles(), packages));
    const read = assertAccepted(parseManifest(manifest));
    expect(read.strategies).toMatchObject([{ name: 'order-flow', version: '1.0.0' }]);
    expect(read).toMatchObject({ owner_key: null, hosts: [] });
    expect(roots.length).toBe(0);
  });

  it('refuses files that it does not understand', async () => {
    const hosts = async (content: string | object): Promise<unknown> =>
      measuredOf({ ...NOTHING, hosts: await file('bad-hosts', content) }, packages);
    const commitment = async (content: string | object): Promise<unknown> =>
      measuredOf({ ...NOTHING, commitments: [await file('bad', content)] }, packages);
    const owner = async (content: string): Promise<unknown> =>
      measuredOf({ ...NOTHING, owner: await file('bad.pem', content) }, packages);
    expect(await commitment('{')).toMatchObject(refusal('json_malformed'));
    expect(await commitment({ ...COMMITMENT, salt: 'x' })).toMatchObject(refusal('json_malformed'));
    expect(await commitment({ ...COMMITMENT, commitment: 'x' })).toMatchObject(
      refusal('usage_invalid'),
    );
    expect(await owner(publicKey('P-384'))).toMatchObject({
      refusal: { code: 'usage_invalid', detail: { path: join(folder, 'bad.pem') } },
    });
    expect(await owner('no key')).toMatchObject(refusal('usage_invalid'));
    expect(await hosts({ ...HOSTS, roots: [] })).toMatchObject(refusal('json_malformed'));
    expect(await hosts({ ...HOSTS, roots: ['../A_Root.crt'] })).toMatchObject(
      refusal('json_malformed'),
    );
    expect(await hosts({ ...HOSTS, roots: ['C_Root.crt'] })).toMatchObject(
      refusal('input_missing'),
    );
    expect(await hosts({ ...HOSTS, hosts: [{ host: 'A', port: 1 }] })).toMatchObject(
      refusal('usage_invalid'),
    );
    expect(await measuredOf({ ...NOTHING, owner: join(folder, 'none') }, packages)).toMatchObject(
      refusal('file_unreadable'),
    );
  });
});
