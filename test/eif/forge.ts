// Image files of any shape, sound or not: the parts are written as they are given.

import { generateKeyPairSync } from 'node:crypto';
import { crc32 } from 'node:zlib';
import 'reflect-metadata';
import { X509CertificateGenerator } from '@peculiar/x509';
import { encodeMetadata } from '../../eif/metadata.ts';
import { utf8 } from '../../wire/bytes.ts';

export interface ForgedSection {
  readonly type: number;
  readonly data: Uint8Array;
  readonly flags?: number;
  /** In the section's own header; the size of the data by default. */
  readonly size?: number;
}

export interface Forgery {
  readonly sections: readonly ForgedSection[];
  /** Applied to the whole file before its CRC is computed. */
  readonly change?: (view: DataView) => void;
  readonly append?: Uint8Array;
}

export const METADATA: Uint8Array = encodeMetadata({
  imageName: 'trackseal',
  imageVersion: '0.1.0',
  kernelVersion: '6.12.90',
  toolVersion: '0.1.0',
  custom: { commit: '0'.repeat(40) },
});

/** In the order of AWS's builder, two ramdisks. */
export const SOUND: readonly ForgedSection[] = [
  { type: 1, data: utf8('kernel') },
  { type: 2, data: utf8('console=ttyS0') },
  { type: 5, data: METADATA },
  { type: 3, data: utf8('boot') },
  { type: 3, data: utf8('application') },
];

export function forgeEif({ sections, change, append = new Uint8Array(0) }: Forgery): Uint8Array {
  const bytes = sections.reduce((sum, { data }) => sum + 12 + data.length, 548) + append.length;
  const file = new Uint8Array(bytes);
  const view = new DataView(file.buffer);
  file.set(utf8('.eif'));
  view.setUint16(4, 4);
  view.setUint16(26, sections.length);
  let offset = 548;
  for (const [index, { type, data, flags = 0, size = data.length }] of sections.entries()) {
    view.setBigUint64(28 + 8 * index, BigInt(offset));
    view.setBigUint64(284 + 8 * index, BigInt(data.length));
    view.setUint16(offset, type);
    view.setUint16(offset + 2, flags);
    view.setBigUint64(offset + 4, BigInt(size));
    file.set(data, offset + 12);
    offset += 12 + data.length;
  }
  file.set(append, offset);
  change?.(view);
  view.setUint32(544, crc32(file.subarray(548), crc32(file.subarray(0, 544))));
  return file;
}

export interface SigningPair {
  readonly keyPem: string;
  readonly certificatePem: string;
  readonly certificateDer: Uint8Array;
}

/** A key on `curve` and its certificate, by itself. */
export async function signingPair(curve: 'P-256' | 'P-384' | 'P-521'): Promise<SigningPair> {
  const algorithm = { name: 'ECDSA', namedCurve: curve, hash: 'SHA-384' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: 'CN=release.test',
    notBefore: new Date('2026-01-01T00:00:00Z'),
    notAfter: new Date('2036-01-01T00:00:00Z'),
    keys,
    signingAlgorithm: algorithm,
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const body = pkcs8.toString('base64').replaceAll(/(.{64})/gu, '$1\n');
  return {
    keyPem: `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`,
    certificatePem: `${certificate.toString('pem')}\n`,
    certificateDer: new Uint8Array(certificate.rawData),
  };
}

/** A private key that belongs to no certificate. */
export function strangerKeyPem(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' });
}
