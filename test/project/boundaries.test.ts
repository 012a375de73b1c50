import { readFile, readdir } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bundleImage } from '../../eif/build/bundles.ts';
import { ROOT } from '../../scripts/bundle.ts';

// Which folders a trust domain may import; every other relative import is a breach.
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  wire: ['wire'],
  enclave: ['enclave', 'wire', 'wire/node'],
  'host-proxy': ['host-proxy', 'wire', 'wire/node'],
  verifier: ['verifier', 'wire', 'wire/node'],
  owner: ['owner', 'wire', 'wire/node'],
  client: ['client', 'verifier', 'wire', 'wire/node'],
  eif: ['eif', 'verifier', 'wire', 'wire/node'],
  simulator: ['simulator', 'enclave', 'wire', 'wire/node'],
  strategies: ['strategies', 'enclave', 'wire'],
};

/** Names of venues' own interfaces, for their test systems. */
const OF_VENUES = /x-simulated-trading|account\/simulated_margin/gu;

function domainOf(path: string): string {
  const parts = path.split('/');
  return parts[0] === 'wire' && parts[1] === 'node' ? 'wire/node' : (parts[0] ?? '');
}

async function importsOf(folder: string): Promise<readonly { file: string; target: string }[]> {
  const found: { file: string; target: string }[] = [];
  const names = await readdir(join(ROOT, folder), { recursive: true });
  for (const name of names) {
    if (!name.endsWith('.ts')) continue;
    const file = join(folder, name);
    const text = await readFile(join(ROOT, file), 'utf8');
    for (const match of text.matchAll(/(?:from|import\()\s*'([^']+)'/gu)) {
      const specifier = match[1] ?? '';
      const target = specifier.startsWith('.')
        ? relative(ROOT, resolve(ROOT, dirname(file), specifier))
        : specifier;
      found.push({ file, target });
    }
  }
  return found;
}

describe('trust domains', () => {
  it.each(Object.keys(ALLOWED))('%s imports only what it may', async (folder) => {
    const imports = await importsOf(folder);
    const own = imports.filter(({ file }) => domainOf(file) === folder);
    const breaches = own.filter(
      ({ target }) =>
        target.includes('/') &&
        /^[a-z-]+\/.*\.ts$/u.test(target) &&
        !(ALLOWED[folder] ?? []).includes(domainOf(target)),
    );
    expect(own.length).toBeGreaterThan(0);
    expect(breaches).toEqual([]);
  });

  it('wire/ imports nothing of Node and no package but zod and decimal.js', async () => {
    const imports = await importsOf('wire');
    const foreign = imports.filter(
      ({ file, target }) => domainOf(file) === 'wire' && !target.startsWith('wire/'),
    );
    expect([...new Set(foreign.map(({ target }) => target))].toSorted()).toEqual([
      'decimal.js',
      'zod',
    ]);
  });
});

describe('client/', () => {
  it('outside of node/ and commands/ imports nothing of Node: a browser loads it', async () => {
    const imports = await importsOf('client');
    const web = imports.filter(({ file }) => !/^client\/(?:node|commands)\//u.test(file));
    const packages = web
      .map(({ target }) => target)
      .filter((target) => !/^[a-z]+\/.*\.ts$/u.test(target));
    expect([...new Set(packages)].toSorted()).toEqual([
      '@noble/ciphers/aes.js',
      '@noble/curves/nist.js',
      '@noble/hashes/hkdf.js',
      '@noble/hashes/sha2.js',
      'tweetnacl',
    ]);
    expect(web.filter(({ target }) => /^(?:client|wire)\/node\//u.test(target))).toEqual([]);
  });
});

describe('the bundles of the image', () => {
  it('contain no simulator, host or verifier code', async () => {
    const bundles = await bundleImage();
    const own = bundles.flatMap(({ metafile }) =>
      Object.keys(metafile.inputs).filter((path) => !path.includes('node_modules/')),
    );
    expect(own).toContain('enclave/main.ts');
    expect(own.filter((path) => !/^(enclave|wire)\//u.test(path))).toEqual([]);
    for (const { bytes } of bundles) {
      const text = Buffer.from(bytes).toString('utf8').replaceAll(OF_VENUES, '');
      expect(text).not.toMatch(/simulat(?:or|ed)/iu);
    }
  });
});
