import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../../wire/bytes.ts';
import { parseUnsignedDocument } from '../../../wire/attestation/unsigned.ts';
import { UNSAFE_UNSIGNED, verifyAttestation } from '../../../wire/attestation/verify.ts';
import { parseOwnDocument } from '../../../wire/attestation/own-document.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { MANIFEST, readFixture, ROOT_DER } from './fixtures.ts';

const UNSIGNED = readFixture('synthetic-qemu-shaped.cbor');
const SIGNATURE_BYTES = 64;
const signed = MANIFEST.filter((entry) => entry.expected.startsWith('ACCEPT'));

describe('documents that nobody signed', () => {
  it('are read only where they were asked for', () => {
    const document = assertAccepted(parseUnsignedDocument(UNSIGNED));
    const trust = { rootDer: UNSAFE_UNSIGNED } as const;
    const verified = assertAccepted(verifyAttestation(nodeCrypto, UNSIGNED, trust));
    expect(verified.document).toEqual(document);
    expect(verified.certificates).toEqual([]);
    expect(verifyAttestation(nodeCrypto, UNSIGNED, { rootDer: ROOT_DER })).toMatchObject({
      refusal: { code: 'cose_algorithm' },
    });
  });

  it.each(signed.map(({ file }) => [file]))('%s is signed: refused there', (file) => {
    expect(parseUnsignedDocument(readFixture(file))).toMatchObject({
      refusal: { code: 'cose_algorithm' },
    });
  });

  it('have nothing but zeros for a signature', () => {
    for (let at = UNSIGNED.length - SIGNATURE_BYTES; at < UNSIGNED.length; at++) {
      const changed = UNSIGNED.slice();
      changed[at] = 1;
      expect(parseUnsignedDocument(changed)).toMatchObject({ refusal: { code: 'cose_signature' } });
    }
  });

  it.each([
    [SIGNATURE_BYTES - 1, 63],
    [SIGNATURE_BYTES + 1, 65],
  ])('have 64 bytes for a signature, not %i', (bytes, length) => {
    const parts = UNSIGNED.subarray(0, UNSIGNED.length - SIGNATURE_BYTES - 2);
    const head = new Uint8Array([0x58, length]);
    expect(parseUnsignedDocument(concatBytes(parts, head, new Uint8Array(bytes)))).toMatchObject({
      refusal: { code: 'cose_signature_length', detail: { bytes } },
    });
  });
});

describe('a document of one’s own device', () => {
  it.each([...signed.map(({ file }) => file), 'synthetic-qemu-shaped.cbor'])(
    '%s is read, whatever its signature',
    (file) => {
      expect(parseOwnDocument(readFixture(file)).ok).toBe(true);
    },
  );

  it('has four parts and a payload of the right form', () => {
    for (let length = 0; length < UNSIGNED.length; length++) {
      expect(parseOwnDocument(UNSIGNED.subarray(0, length)).ok).toBe(false);
    }
  });
});
