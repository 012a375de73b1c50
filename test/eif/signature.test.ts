import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { describeEif } from '../../eif/description.ts';
import { measure } from '../../eif/measurements.ts';
import { parseEif } from '../../eif/reader.ts';
import { sectionsOf } from '../../eif/section-rules.ts';
import { signEif } from '../../eif/sign.ts';
import { parseSignatureSection, signPcr0 } from '../../eif/signature.ts';
import { parseHex, toHex } from '../../wire/bytes.ts';
import { assertAccepted } from '../../wire/result.ts';
import { forgeEif, signingPair, SOUND, strangerKeyPem } from './forge.ts';

const UNSIGNED = forgeEif({ sections: SOUND });

function codeOf(file: Uint8Array): string {
  const described = describeEif(file);
  return described.ok ? (described.value.faults[0] ?? 'sound') : described.refusal.code;
}

function signatureOf(file: Uint8Array): Uint8Array {
  return sectionsOf(assertAccepted(parseEif(file)).sections, 'signature')[0] ?? new Uint8Array(0);
}

describe.each(['P-256', 'P-384', 'P-521'] as const)('an image signed with %s', async (curve) => {
  const { keyPem, certificatePem, certificateDer } = await signingPair(curve);
  const signed = assertAccepted(signEif(UNSIGNED, keyPem, certificatePem));

  it('holds, and has the PCR8 of its certificate', () => {
    const before = assertAccepted(describeEif(UNSIGNED));
    const after = assertAccepted(describeEif(signed));
    expect(after.faults).toEqual([]);
    expect(after.measurements).toEqual({
      ...before.measurements,
      pcr8: toHex(measure([certificateDer])),
    });
    expect(after.signer?.algorithm).toBe(
      { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512' }[curve],
    );
  });

  it('can be signed again with a longer certificate: every size is written anew', async () => {
    const other = await signingPair(curve === 'P-521' ? 'P-256' : 'P-521');
    const again = assertAccepted(signEif(signed, other.keyPem, other.certificatePem));
    expect(codeOf(again)).toBe('sound');
    expect(again.length).not.toBe(signed.length);
  });

  it('does not lend its signature to another image', () => {
    const sections = SOUND.with(3, { type: 3, data: Uint8Array.of(1) });
    const file = forgeEif({ sections: [...sections, { type: 4, data: signatureOf(signed) }] });
    expect(codeOf(file)).toBe('eif_signature_pcr0');
  });

  it('is refused when a bit of the signature is changed', () => {
    const data = Uint8Array.from(signatureOf(signed));
    // The last integer of the array: a byte of s, in its own CBOR item.
    data[data.length - 1] = (data.at(-1) ?? 0) ^ 1;
    expect(['eif_signature_invalid', 'eif_signature_malformed']).toContain(
      codeOf(forgeEif({ sections: [...SOUND, { type: 4, data }] })),
    );
  });
});

describe('signing', () => {
  it('refuses a key that is not the key of the certificate', async () => {
    const { certificatePem } = await signingPair('P-384');
    const signed = signEif(UNSIGNED, strangerKeyPem(), certificatePem);
    expect(!signed.ok && signed.refusal.code).toBe('eif_certificate');
  });

  it('refuses two certificates, of which readers might take either', async () => {
    const { keyPem, certificatePem } = await signingPair('P-384');
    const signed = signEif(UNSIGNED, keyPem, certificatePem + certificatePem);
    expect(!signed.ok && signed.refusal.code).toBe('eif_certificate');
  });

  it('refuses a damaged image', async () => {
    const { keyPem, certificatePem } = await signingPair('P-384');
    const damaged = Uint8Array.from(UNSIGNED);
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    const signed = signEif(damaged, keyPem, certificatePem);
    expect(!signed.ok && signed.refusal.code).toBe('eif_crc');
  });
});

describe('the bytes of AWS', () => {
  it('of PCR0 and of a signature section are ours', async () => {
    const path = new URL('../fixtures/eif/aws-cbor-vectors.json', import.meta.url);
    const vectors = JSON.parse(await readFile(path, 'utf8')) as Record<string, string>;
    const pcr0 = Uint8Array.from({ length: 48 }, (_, index) => index);
    const { keyPem, certificatePem } = await signingPair('P-384');
    const section = toHex(assertAccepted(signPcr0(pcr0, keyPem, certificatePem)));
    // Inside the section the payload is an array of integers; each byte above 23 has a head of its own.
    const payload = parseHex(vectors['pcr_info_index0_value_00_to_2f'] ?? '') ?? new Uint8Array(0);
    const asIntegers = Array.from(
      payload,
      (byte) => (byte < 24 ? '' : '18') + toHex(Uint8Array.of(byte)),
    );
    expect(payload.length).toBeGreaterThan(48);
    expect(section).toContain(asIntegers.join(''));
    // AWS's example holds no certificate: its form is read as far as the certificate.
    const example = parseHex(vectors['signature_section_example'] ?? '') ?? new Uint8Array(0);
    const parsed = parseSignatureSection(example);
    expect(!parsed.ok && parsed.refusal.code).toBe('eif_certificate');
  });
});
