import 'reflect-metadata';
import { X509Certificate as NodeCertificate } from 'node:crypto';
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate,
} from '@peculiar/x509';
import { describe, expect, it } from 'vitest';
import { parseCertificate } from '../../../wire/attestation/certificate.ts';
import { parseAttestation } from '../../../wire/attestation/parse.ts';
import { concatBytes, toHex } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { MANIFEST, readFixture } from './fixtures.ts';

const documents = MANIFEST.filter(({ expected }) => expected.startsWith('ACCEPT')).map(({ file }) =>
  assertAccepted(parseAttestation(readFixture(file))),
);
const certificates = documents.flatMap(({ cabundle, certificate }) => [...cabundle, certificate]);
const leaf = documents.at(-1)?.certificate ?? new Uint8Array();

describe('certificates of real documents', () => {
  it.each(certificates.map((der, index) => [index, der] as const))(
    'number %d means the same to @peculiar/x509 and to OpenSSL',
    (_, der) => {
      const ours = assertAccepted(parseCertificate(der));
      const peer = new X509Certificate(der.slice());
      expect(ours.subject).toEqual(new Uint8Array(peer.subjectName.toArrayBuffer()));
      expect(ours.issuer).toEqual(new Uint8Array(peer.issuerName.toArrayBuffer()));
      expect(ours.notBeforeMs).toBe(peer.notBefore.getTime());
      expect(ours.notAfterMs).toBe(peer.notAfter.getTime());
      expect(ours.spki).toEqual(new Uint8Array(peer.publicKey.rawData));
      const constraints = peer.getExtension(BasicConstraintsExtension);
      expect([ours.isCa, ours.pathLength]).toEqual([
        constraints?.ca,
        constraints?.pathLength ?? null,
      ]);
      const usages = peer.getExtension(KeyUsagesExtension)?.usages ?? 0;
      expect(ours.keyUsage).toEqual({
        digitalSignature: (usages & KeyUsageFlags.digitalSignature) !== 0,
        keyCertSign: (usages & KeyUsageFlags.keyCertSign) !== 0,
      });

      const openssl = new NodeCertificate(der);
      expect([openssl.validFromDate.getTime(), openssl.validToDate.getTime()]).toEqual([
        ours.notBeforeMs,
        ours.notAfterMs,
      ]);
      expect(openssl.ca).toBe(ours.isCa);
      expect(ours.spki).toEqual(
        new Uint8Array(openssl.publicKey.export({ format: 'der', type: 'spki' })),
      );
    },
  );
});

/** Replaces one hex string that must occur exactly once; lengths must stay the same. */
function patch(der: Uint8Array, from: string, to: string): Uint8Array {
  const hex = toHex(der);
  if (hex.split(from).length !== 2 || from.length !== to.length) throw new Error(`no ${from}`);
  return new Uint8Array(Buffer.from(hex.replace(from, to), 'hex'));
}

function codeOf(der: Uint8Array): string | null {
  const parsed = parseCertificate(der);
  return parsed.ok ? null : parsed.refusal.code;
}

function utcTime(text: string): string {
  return `17${text.length.toString(16).padStart(2, '0')}${Buffer.from(text).toString('hex')}`;
}

// The leaf's notBefore and notAfter, as its bytes have them.
const TIMES = /170d3[0-9a-f]{23}5a/gu;
const [before = '', after = ''] = toHex(leaf).match(TIMES) ?? [];

describe('a certificate', () => {
  it.each<[string, string, string, string]>([
    ['version 1', 'a003020102', 'a003020100', 'certificate_malformed'],
    ['version 4', 'a003020102', 'a003020103', 'certificate_malformed'],
    ['keyCertSign padded', '030206c0', '030207c0', 'certificate_malformed'],
    ['spare bits', '030206c0', '030206c1', 'certificate_malformed'],
    ['a boolean of 1', '0101ff', '010101', 'certificate_malformed'],
    ['critical FALSE written out', '0101ff', '010100', 'certificate_malformed'],
    ['another curve', '2b81040022', '2b81040023', 'certificate_algorithm'],
    ['a compressed point', '03620004', '03620002', 'certificate_algorithm'],
    ['month 13', before, utcTime('261306082415Z'), 'certificate_malformed'],
    ['the 30th of February', before, utcTime('260230082415Z'), 'certificate_malformed'],
    ['hour 24', before, utcTime('260206240000Z'), 'certificate_malformed'],
    ['second 60', before, utcTime('260206235960Z'), 'certificate_malformed'],
    ['no Z', before, utcTime('2602060824150'), 'certificate_malformed'],
    ['a sign in the time', before, utcTime('2602060824+1Z'), 'certificate_malformed'],
    ['notAfter before notBefore', after, utcTime('200206112418Z'), 'certificate_malformed'],
  ])('with %s is refused', (_, from, to, code) => {
    expect(codeOf(leaf)).toBeNull();
    expect(codeOf(patch(leaf, from, to))).toBe(code);
  });

  it('with another inner or outer algorithm, or both, is refused', () => {
    const sha384 = '06082a8648ce3d040303';
    const sha256 = '06082a8648ce3d040302';
    const hex = toHex(leaf);
    for (const at of [hex.indexOf(sha384), hex.lastIndexOf(sha384)]) {
      const one = hex.slice(0, at) + sha256 + hex.slice(at + sha256.length);
      expect(codeOf(new Uint8Array(Buffer.from(one, 'hex')))).toBe('certificate_algorithm');
    }
    const both = hex.replaceAll(sha384, sha256);
    expect(codeOf(new Uint8Array(Buffer.from(both, 'hex')))).toBe('certificate_algorithm');
  });

  it('with a signature that is no pair of positive integers is refused', () => {
    const { signature } = assertAccepted(parseCertificate(leaf));
    const at = signature.byteOffset - leaf.byteOffset;
    for (const [offset, value] of [
      [0, 0x31],
      [2, 0x03],
      [4, 0x80],
    ] as const) {
      const copy = leaf.slice();
      copy[at + offset] = value;
      expect(codeOf(copy)).toBe('certificate_malformed');
    }
  });

  it('with bytes after the end, or cut anywhere, is refused', () => {
    expect(codeOf(concatBytes(leaf, Uint8Array.of(0)))).toBe('certificate_malformed');
    for (let length = 0; length < leaf.length; length++) {
      expect(codeOf(leaf.subarray(0, length))).toBe('certificate_malformed');
    }
  });

  it('with any flipped bit is malformed, or no longer signed by its issuer', () => {
    const issuer = assertAccepted(parseCertificate(documents.at(-1)?.cabundle.at(-1) ?? leaf));
    const holds = (der: Uint8Array): boolean => {
      const parsed = parseCertificate(der);
      if (!parsed.ok) return false;
      return nodeCrypto.verifyP384Der(issuer.spki, parsed.value.tbs, parsed.value.signature);
    };
    expect(holds(leaf)).toBe(true);
    for (let offset = 0; offset < leaf.length; offset++) {
      const copy = leaf.slice();
      copy[offset] = (copy[offset] ?? 0) ^ (1 << (offset % 8));
      expect(holds(copy)).toBe(false);
    }
  });

  it('is at most 1,024 bytes', () => {
    const parsed = parseCertificate(new Uint8Array(1025));
    expect(parsed.ok ? null : parsed.refusal).toMatchObject({ detail: { bytes: 1025 } });
  });
});
