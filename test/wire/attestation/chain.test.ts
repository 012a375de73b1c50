import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
} from '@peculiar/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { authorityExtensions, leafExtensions } from '../../../simulator/nsm/certificates.ts';
import { verifyChain } from '../../../wire/attestation/chain.ts';
import { checkTime, verifyAttestation } from '../../../wire/attestation/verify.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { ForgedChain, Link, LinkName } from './forge.ts';
import { forgeChain, forgeDocument, SIGNED_MS } from './forge.ts';

const { digitalSignature, keyCertSign, cRLSign } = KeyUsageFlags;

let good: ForgedChain;
beforeAll(async () => {
  good = await forgeChain();
});

function codeOf(chain: Pick<ForgedChain, 'ders' | 'rootDer'>): string | null {
  const result = verifyChain(nodeCrypto, chain.ders, chain.rootDer);
  return result.ok ? null : result.refusal.code;
}

function constraints(ca: boolean, pathLength?: number): Extension {
  return new BasicConstraintsExtension(ca, pathLength, true);
}

function usage(flags: KeyUsageFlags): Extension {
  return new KeyUsagesExtension(flags, true);
}

/** Replaces all extensions of a link. */
function only(...extensions: readonly Extension[]): Partial<Link> {
  return { extensions: () => Promise.resolve(extensions) };
}

const authority = usage(digitalSignature | keyCertSign | cRLSign);
const unknown = (critical: boolean): Extension =>
  new Extension('1.3.6.1.4.1.99999.1', critical, Uint8Array.of(5, 0));

function unknowns(count: number): readonly Extension[] {
  return Array.from(
    { length: count },
    (_, at) => new Extension(`1.3.6.1.4.1.99999.${at}`, false, Uint8Array.of(5, 0)),
  );
}

describe('a chain', () => {
  it('of the right shape verifies', () => {
    expect(codeOf(good)).toBeNull();
  });

  it.each<[string, LinkName, Partial<Link>, string | null]>([
    [
      'root that allows two CAs below',
      'root',
      only(constraints(true, 2), authority),
      'chain_length',
    ],
    ['root that allows three CAs below', 'root', only(constraints(true, 3), authority), null],
    [
      'path length too short by one',
      'regional',
      only(constraints(true, 1), authority),
      'chain_length',
    ],
    ['path length longer than needed', 'regional', only(constraints(true, 127), authority), null],
    [
      'path length that would wrap',
      'regional',
      only(constraints(true, 258), authority),
      'certificate_malformed',
    ],
    ['no path length', 'zonal', only(constraints(true), authority), null],
    [
      'CA without keyCertSign',
      'zonal',
      only(constraints(true, 1), usage(digitalSignature)),
      'certificate_extension',
    ],
    ['CA without key usage', 'zonal', only(constraints(true, 1)), 'certificate_extension'],
    ['CA that is none', 'instance', only(constraints(false), authority), 'certificate_extension'],
    ['CA without constraints', 'instance', only(authority), 'certificate_extension'],
    [
      'leaf that is a CA',
      'leaf',
      only(constraints(true), usage(digitalSignature)),
      'certificate_extension',
    ],
    [
      'leaf with keyCertSign',
      'leaf',
      only(constraints(false), usage(digitalSignature | keyCertSign)),
      'certificate_extension',
    ],
    [
      'leaf without digitalSignature',
      'leaf',
      only(constraints(false), usage(cRLSign)),
      'certificate_extension',
    ],
    ['leaf without key usage', 'leaf', only(constraints(false)), 'certificate_extension'],
    [
      'leaf with a path length',
      'leaf',
      only(constraints(false, 0), usage(digitalSignature)),
      'certificate_extension',
    ],
    [
      'unknown critical extension',
      'leaf',
      only(...leafExtensions(), unknown(true)),
      'certificate_extension',
    ],
    [
      'unknown extension that is not critical',
      'leaf',
      only(...leafExtensions(), unknown(false)),
      null,
    ],
    [
      'extension that occurs twice',
      'leaf',
      only(...leafExtensions(), usage(digitalSignature)),
      'certificate_extension',
    ],
    ['16 extensions', 'leaf', only(...leafExtensions(), ...unknowns(14)), null],
    ['17 extensions', 'leaf', only(...leafExtensions(), ...unknowns(15)), 'certificate_extension'],
    [
      'CA FALSE written out',
      'leaf',
      only(
        new Extension('2.5.29.19', true, Uint8Array.of(0x30, 3, 1, 1, 0)),
        usage(digitalSignature),
      ),
      'certificate_malformed',
    ],
    ['an empty name', 'leaf', { subject: [] }, 'certificate_malformed'],
    ['another issuer name', 'zonal', { issuerName: [{ CN: ['other'] }] }, 'chain_issuer'],
    [
      'the same name in another order',
      'zonal',
      { issuerName: [{ CN: ['regional'] }, { O: ['Forged'] }] },
      'chain_issuer',
    ],
  ])('with %s (%s)', async (_, name, change, code) => {
    expect(codeOf(await forgeChain({ [name]: change }))).toBe(code);
  });

  it.each<LinkName>(['regional', 'zonal', 'instance', 'leaf'])(
    'whose %s is signed by somebody else is refused',
    async (name) => {
      const forged = await forgeChain({ [name]: { signer: good.keys.root } });
      expect(codeOf(forged)).toBe('chain_signature');
    },
  );

  it('in another order is refused', () => {
    const [root, regional, zonal, instance, leaf] = good.ders as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const { rootDer } = good;
    const code = (...ders: readonly Uint8Array[]): string | null => codeOf({ ders, rootDer });
    expect(code(root, zonal, regional, instance, leaf)).toBe('chain_issuer');
    expect(code(root, regional, instance, zonal, leaf)).toBe('chain_issuer');
    expect(code(leaf, instance, zonal, regional, root)).toBe('chain_root');
    expect(code(root, regional, zonal, leaf)).toBe('chain_issuer');
    // One more CA than the regional one allows is seen before the names are.
    expect(code(root, regional, zonal, zonal, instance, leaf)).toBe('chain_length');
    expect(code(root, root, regional, zonal, instance, leaf)).toBeNull();
    expect(code(root)).toBe('chain_root');
    expect(code()).toBe('chain_root');
  });

  it('under a root of the same name, with another key, is refused', async () => {
    const other = await forgeChain();
    expect(codeOf({ ders: other.ders, rootDer: good.rootDer })).toBe('chain_root');
    // The pinned root in front does not help: it has not signed the next one.
    const ders = [good.rootDer, ...other.ders.slice(1)];
    expect(codeOf({ ders, rootDer: good.rootDer })).toBe('chain_signature');
  });

  it('with a key on another curve, or of RSA, is refused', async () => {
    const p256 = { name: 'ECDSA', namedCurve: 'P-256' };
    const p521 = { name: 'ECDSA', namedCurve: 'P-521' };
    const rsa = {
      name: 'RSASSA-PKCS1-v1_5',
      hash: 'SHA-384',
      modulusLength: 2048,
      publicExponent: Uint8Array.of(1, 0, 1),
    };
    for (const algorithm of [p256, p521, rsa]) {
      const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
      const forged = await forgeChain({ leaf: { keys } });
      expect(codeOf(forged)).toMatch(/^certificate_(algorithm|malformed)$/u);
    }
  });
});

describe('validity', () => {
  const names: readonly LinkName[] = ['root', 'regional', 'zonal', 'instance', 'leaf'];

  it.each(names.map((name, position) => [name, position] as const))(
    'of the %s counts, with inclusive boundaries',
    async (name, position) => {
      const from = SIGNED_MS - 1000;
      const to = SIGNED_MS + 1000;
      const chain = await forgeChain({ [name]: { notBeforeMs: from, notAfterMs: to } });
      const document = await forgeDocument(chain);
      const verified = assertAccepted(verifyAttestation(nodeCrypto, document, chain));
      const at = (atMs: number): unknown => {
        const result = checkTime(verified, atMs);
        return result.ok ? null : [result.refusal.code, result.refusal.detail['position']];
      };
      expect([from, SIGNED_MS, to].map(at)).toEqual([null, null, null]);
      const expired = ['certificate_expired', position];
      expect([from - 1000, from - 1, to + 1, to + 1000].map(at)).toEqual([
        expired,
        expired,
        expired,
        expired,
      ]);
      expect([Number.NaN, Infinity, -Infinity].map(at).every((result) => result !== null)).toBe(
        true,
      );
    },
  );
});

describe('the simulator', () => {
  it('writes the extensions that the chain needs', async () => {
    const keys = good.keys.zonal;
    const extensions = await authorityExtensions(keys, good.keys.regional, 1);
    expect(extensions.map(({ type, critical }) => [type, critical])).toEqual([
      ['2.5.29.19', true],
      ['2.5.29.35', false],
      ['2.5.29.14', false],
      ['2.5.29.15', true],
    ]);
  });
});
