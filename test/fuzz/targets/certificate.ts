// wire/attestation/certificate.ts and der.ts. What is accepted, OpenSSL reads as the same certificate: key,
// validity, authority, and issuer and subject that it finds equal when their bytes are.

import { X509Certificate } from 'node:crypto';
import type { Certificate } from '../../../wire/attestation/certificate.ts';
import { parseCertificate } from '../../../wire/attestation/certificate.ts';
import { parseAttestation } from '../../../wire/attestation/parse.ts';
import { MAX_CERTIFICATE_BYTES } from '../../../wire/limits.ts';
import { MANIFEST, readFixture, ROOT_DER } from '../../wire/attestation/fixtures.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import { mutateDer } from '../mutate/der.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge } from '../target.ts';

/** OpenSSL's form of a time has no other zone than this. */
function msOf(text: string): number {
  return Date.parse(text);
}

function checkPeer(certificate: Certificate): string {
  let peer: X509Certificate;
  try {
    peer = new X509Certificate(certificate.der);
  } catch (error) {
    // It also reads what is inside names and extensions, which nothing of ours depends on.
    return `openssl ${error instanceof Error && 'reason' in error ? String(error.reason) : ''}`;
  }
  expectSameBytes(new Uint8Array(peer.raw), certificate.der, 'OpenSSL reads other bytes');
  expectThat(msOf(peer.validFrom) === certificate.notBeforeMs, 'another notBefore');
  expectThat(msOf(peer.validTo) === certificate.notAfterMs, 'another notAfter');
  let spki: Uint8Array | null = null;
  try {
    spki = new Uint8Array(peer.publicKey.export({ format: 'der', type: 'spki' }));
  } catch {
    // A point that is not on the curve: no signature verifies under it.
  }
  if (spki !== null) expectSameBytes(spki, certificate.spki, 'another key');
  // It knows further ways to be no authority, so only one direction holds.
  expectThat(certificate.isCa || !peer.ca, 'OpenSSL takes a leaf for an authority');
  return spki === null ? 'no point' : 'read';
}

function run(der: Uint8Array): string {
  const parsed = parseCertificate(der);
  const outcome = judge(parsed);
  if (!parsed.ok) return outcome;
  const { isCa, pathLength, keyUsage } = parsed.value;
  expectThat(pathLength === null || isCa, 'a path length without authority');
  return [outcome, checkPeer(parsed.value), isCa, pathLength === null, keyUsage === null].join(' ');
}

export function certificateTarget(): Target {
  const chains = MANIFEST.slice(0, 4).flatMap(({ file }) => {
    const parsed = parseAttestation(readFixture(file));
    return parsed.ok ? parsed.value.cabundle.concat(parsed.value.certificate) : [];
  });
  return {
    name: 'certificate',
    files: ['wire/attestation/certificate.ts', 'wire/attestation/der.ts'],
    maxBytes: MAX_CERTIFICATE_BYTES + 1,
    seeds: [ROOT_DER, ...chains],
    mutate: mix([5, mutateDer], [1, mutateBytes]),
    run,
  };
}
