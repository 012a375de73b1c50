import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { assertAccepted } from '../../../wire/result.ts';
import {
  checkAge,
  checkTime,
  examineAttestation,
  verifyAttestation,
} from '../../../wire/attestation/verify.ts';
import { parseAttestation } from '../../../wire/attestation/parse.ts';
import { extendedPcr } from '../../../wire/attestation/policy.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { MANIFEST, readFixture, ROOT_DER } from './fixtures.ts';

const trust = { rootDer: ROOT_DER };
const accepted = MANIFEST.filter((entry) => entry.expected.startsWith('ACCEPT'));
const rejected = MANIFEST.filter((entry) => entry.expected.startsWith('REJECT'));

const codes: Readonly<Record<string, string>> = {
  'neg-invalid-eternis.cbor': 'cose_signature',
  'derived-trailing-byte.cbor': 'cbor_trailing_bytes',
  'derived-truncated.cbor': 'cbor_truncated',
  'derived-payload-bitflip.cbor': 'cose_signature',
  'derived-der-signature.cbor': 'cose_signature_length',
  'synthetic-qemu-shaped.cbor': 'cose_algorithm',
};

describe('documents of the manifest', () => {
  it('are all there, as the manifest lists them', () => {
    expect([accepted.length, rejected.length]).toEqual([11, 6]);
    for (const { file, sha256 } of MANIFEST) {
      expect(createHash('sha256').update(readFixture(file)).digest('hex')).toBe(sha256);
    }
  });

  it.each(accepted.map((entry) => [entry.file, entry] as const))('%s verifies', (file, entry) => {
    const verified = assertAccepted(verifyAttestation(nodeCrypto, readFixture(file), trust));
    const { document } = verified;
    expect(document.moduleId).toBe(entry.module_id);
    expect(document.timestampMs).toBe(entry.timestamp_ms);
    expect(document.pcrs.size).toBe(entry.npcrs);
    for (const [index, value] of document.pcrs) {
      expect(toHex(value)).toBe(entry.pcrs_nonzero[String(index)] ?? '00'.repeat(48));
    }
    for (const [bytes, hex] of [
      [document.nonce, entry.nonce],
      [document.userData, entry.user_data],
      [document.publicKey, entry.public_key],
    ] as const) {
      expect(bytes === null ? null : toHex(bytes)).toBe(hex);
    }
    const [instance] = document.moduleId.split('-enc');
    expect(document.pcrs.get(4)).toEqual(extendedPcr(nodeCrypto, utf8(instance ?? '')));
    expect(checkTime(verified, document.timestampMs).ok).toBe(true);
    expect(checkTime(verified, Date.UTC(2026, 9, 1))).toMatchObject({
      refusal: { code: 'certificate_expired' },
    });
  });

  it.each(accepted.map((entry) => [entry.file, entry] as const))(
    '%s is valid exactly inside its window',
    (file, entry) => {
      const verified = assertAccepted(verifyAttestation(nodeCrypto, readFixture(file), trust));
      const [from, to] = (entry.valid_window ?? []).map((text) => Date.parse(text));
      if (from === undefined || to === undefined) throw new Error('no window');
      const valid = [from - 1, from, to, to + 1].map((at) => checkTime(verified, at).ok);
      expect(valid).toEqual([false, true, true, false]);
    },
  );

  it.each(rejected.map((entry) => entry.file))('%s is refused', (file) => {
    expect(verifyAttestation(nodeCrypto, readFixture(file), trust)).toMatchObject({
      ok: false,
      refusal: { code: codes[file] },
    });
  });
});

const sample = 'real-2026-02-06-prod-indefmap-nonce32.cbor';

describe('examineAttestation', () => {
  it('tells chain and signature apart', () => {
    const findings = assertAccepted(
      examineAttestation(nodeCrypto, readFixture('derived-payload-bitflip.cbor'), trust),
    );
    expect(findings.chain).toBeNull();
    expect(findings.signature?.code).toBe('cose_signature');
    expect(findings.verified).toBeNull();
  });

  it('reports a wrong root and a good signature side by side', () => {
    const other = { rootDer: ROOT_DER.map((byte, index) => (index === 300 ? byte ^ 1 : byte)) };
    const findings = assertAccepted(examineAttestation(nodeCrypto, readFixture(sample), other));
    expect(findings.chain?.code).toBe('chain_root');
    expect(findings.signature).toBeNull();
    expect(verifyAttestation(nodeCrypto, readFixture(sample), other)).toEqual({
      ok: false,
      refusal: { code: 'chain_root', detail: { signature: 'holds' } },
    });
  });
});

describe('any change to a valid document', () => {
  it('is refused: one flipped bit in each byte', () => {
    const bytes = readFixture(sample);
    const seen = new Set<string>();
    for (let offset = 0; offset < bytes.length; offset++) {
      const copy = bytes.slice();
      copy[offset] = (copy[offset] ?? 0) ^ (1 << (offset % 8));
      const result = verifyAttestation(nodeCrypto, copy, trust);
      if (result.ok) throw new Error(`accepted with a flip at ${offset}`);
      seen.add(result.refusal.code);
    }
    expect([...seen]).toEqual(
      expect.arrayContaining(['cose_signature', 'chain_root', 'chain_signature']),
    );
  });

  it('is refused: cut at every length', () => {
    const bytes = readFixture(sample);
    for (let length = 0; length < bytes.length; length++) {
      expect(parseAttestation(bytes.subarray(0, length)).ok).toBe(false);
    }
  });
});

describe('signatures', () => {
  const ORDER =
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n;

  it.each(accepted.map((entry) => entry.file))('%s holds with s and with n - s', (file) => {
    const bytes = readFixture(file);
    const s = BigInt(`0x${toHex(bytes.subarray(bytes.length - 48))}`);
    const other = (ORDER - s).toString(16).padStart(96, '0');
    const copy = bytes.slice();
    copy.set(Buffer.from(other, 'hex'), copy.length - 48);
    expect(verifyAttestation(nodeCrypto, copy, trust).ok).toBe(true);
  });
});

describe('checkAge', () => {
  const verified = assertAccepted(verifyAttestation(nodeCrypto, readFixture(sample), trust));
  const at = verified.document.timestampMs;

  it.each([
    [-1001, 'timestamp_future'],
    [-1000, null],
    [0, null],
    [1000, null],
    [1001, 'document_stale'],
  ])('age %d ms with 1000 ms allowed: %s', (ageMs, code) => {
    const result = checkAge(verified, at + ageMs, 1000);
    expect(result.ok ? null : result.refusal.code).toBe(code);
  });
});
