import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { MeasuredManifest } from '../../wire/manifest.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from '../../wire/manifest.ts';
import { accept } from '../../wire/result.ts';

const HASH = 'ab'.repeat(32);
const label = 'a'.repeat(63);
const spki = (curve: string): string =>
  toHex(
    generateKeyPairSync('ec', { namedCurve: curve }).publicKey.export({
      type: 'spki',
      format: 'der',
    }),
  );

const MANIFEST: MeasuredManifest = {
  version: 2,
  strategies: [{ name: 'example', version: '1.0.0', commitment: HASH }],
  owner_key: spki('P-256'),
  hosts: [
    { host: 'kms.eu-central-1.amazonaws.com', port: 443 },
    { host: 'localhost', port: 65_535, tls_name: 'exchange.example' },
  ],
  roots_sha256: HASH,
};

const changed = (changes: object): Uint8Array => canonicalJson({ ...MANIFEST, ...changes });
const hosts = (...list: readonly object[]): Uint8Array => changed({ hosts: list });

/** A manifest of so many bytes: long names of hosts, and names of strategies for the rest. */
function sized(bytes: number): Uint8Array {
  const long = `.${label}.${label}.${label}`;
  const strategies = Array.from({ length: 60 }, () => ({
    name: 'n',
    version: '1.0.0',
    commitment: HASH,
  }));
  const many: object[] = [];
  const size = (): number => changed({ strategies, hosts: many }).length;
  while (size() < bytes - 1000) many.push({ host: `${many.length}${long}`, port: 1 });
  let missing = bytes - size();
  for (const strategy of strategies) {
    const more = Math.min(missing, 63);
    strategy.name += 'n'.repeat(more);
    missing -= more;
  }
  return changed({ strategies, hosts: many });
}

describe('the measured manifest', () => {
  it('is read as it was written', () => {
    expect(parseManifest(canonicalJson(MANIFEST))).toEqual(accept(MANIFEST));
    expect(sized(MAX_MANIFEST_BYTES).length).toBe(MAX_MANIFEST_BYTES);
    expect(parseManifest(changed({ owner_key: null, hosts: [], strategies: [] })).ok).toBe(true);
  });

  const name253 = `${label}.${label}.${label}.${'a'.repeat(61)}`;

  it.each([
    ['port 1', hosts({ host: 'a', port: 1 })],
    ['a label of 63', hosts({ host: label, port: 1 })],
    ['a name of 253', hosts({ host: name253, port: 1 })],
    ['as many bytes as there may be', sized(MAX_MANIFEST_BYTES)],
    ['the same host at two ports', hosts({ host: 'a', port: 1 }, { host: 'a', port: 2 })],
  ])('may have %s', (_what, bytes) => {
    expect(parseManifest(bytes).ok).toBe(true);
  });

  it.each([
    ['version 1', changed({ version: 1 })],
    ['an unknown key', changed({ debug: true })],
    ['no owner key at all', changed({ owner_key: undefined })],
    ['a key of another curve', changed({ owner_key: spki('P-384') })],
    ['a key in upper case', changed({ owner_key: MANIFEST.owner_key?.toUpperCase() })],
    ['a key that goes on', changed({ owner_key: `${MANIFEST.owner_key ?? ''}00` })],
    ['a short digest of the roots', changed({ roots_sha256: HASH.slice(2) })],
    [
      'a short commitment',
      changed({ strategies: [{ ...MANIFEST.strategies[0], commitment: '' }] }),
    ],
    ['port 0', hosts({ host: 'a', port: 0 })],
    ['port 65536', hosts({ host: 'a', port: 65_536 })],
    ['a port that is text', hosts({ host: 'a', port: '443' })],
    ['a label of 64', hosts({ host: `${label}a`, port: 1 })],
    ['a name of 254', hosts({ host: `${name253}a`, port: 1 })],
    ['a name in upper case', hosts({ host: 'KMS', port: 1 })],
    ['a name with a line break', hosts({ host: 'a\n', port: 1 })],
    ['a name with a path', hosts({ host: 'a/b', port: 1 })],
    ['an empty TLS name', hosts({ host: 'a', port: 1, tls_name: '' })],
    ['a host twice', hosts({ host: 'a', port: 1 }, { host: 'a', port: 1, tls_name: 'b' })],
    ['another spacing', utf8(JSON.stringify(MANIFEST))],
    [
      'a key twice',
      utf8(
        Buffer.from(canonicalJson(MANIFEST))
          .toString('utf8')
          .replace('"hosts"', '"owner_key": null,\n  "hosts"'),
      ),
    ],
    ['a byte too many', sized(MAX_MANIFEST_BYTES + 1)],
    ['no JSON', utf8('{')],
    ['no UTF-8', Uint8Array.of(0xff)],
  ])('is refused with %s', (_what, bytes) => {
    expect(parseManifest(bytes)).toEqual({
      ok: false,
      refusal: { code: 'json_malformed', detail: { file: 'measured manifest' } },
    });
  });
});
