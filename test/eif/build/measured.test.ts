import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../../eif/build/bundles.ts';
import { exampleFiles } from '../../../eif/build/image.ts';
import { measuredOf } from '../../../eif/build/measured.ts';
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

// Where Debian's package is installed its names and its certificates are those that the image would get.
const INSTALLED = '/usr/share/ca-certificates/mozilla';
const HAVE_ROOTS = existsSync(INSTALLED);
if (!HAVE_ROOTS) console.log(`not here: ${INSTALLED}, so no real roots are read`);

describe('the example of hosts', () => {
  it.skipIf(!HAVE_ROOTS)(
    'names roots that are there, and are certificate authorities',
    async () => {
      const hosts = join(ROOT, 'eif/hosts.example.json');
      const measured = await measuredOf({ ...NOTHING, hosts }, '/');
      const { manifest, roots } = assertAccepted(measured);
      const blocks = Buffer.from(roots)
        .toString('utf8')
        .split(/(?<=-----END CERTIFICATE-----\n)/u);
      const certificates = blocks
        .filter((text) => text !== '')
        .map((text) => new X509Certificate(text));
      expect(certificates.map(({ ca }) => ca)).toEqual([true, true, true, true, true]);
      const names = certificates.map(({ subject }) => /CN=(.*)/u.exec(subject)?.[1]);
      expect(names).toContain('Amazon Root CA 1');
      const { hosts: measuredHosts } = assertAccepted(parseManifest(manifest));
      expect(measuredHosts.map(({ port }) => port)).toEqual([443, 443]);
    },
  );
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
