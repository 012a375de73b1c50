import { beforeAll, describe, expect, it } from 'vitest';
import type { AttestationPolicy, ImagePcrs } from '../../../wire/attestation/policy.ts';
import { checkPolicy, extendedPcr, matchesOrigin } from '../../../wire/attestation/policy.ts';
import type { UserData } from '../../../wire/attestation/user-data.ts';
import { encodeUserData, PURPOSE } from '../../../wire/attestation/user-data.ts';
import type { VerifiedAttestation } from '../../../wire/attestation/verify.ts';
import { verifyAttestation } from '../../../wire/attestation/verify.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { ForgedChain } from './forge.ts';
import { forgeChain, forgeDocument, pcrsOf } from './forge.ts';

let chain: ForgedChain;
beforeAll(async () => {
  chain = await forgeChain();
});

const hash = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);
const CONFIG = hash(9);
const NONCE = new Uint8Array(32).fill(0x55);
const KEY = new Uint8Array(91).fill(4);
const ours: UserData = {
  purpose: PURPOSE.challenge,
  origin: 'log.example/e0000000001',
  head: null,
  leafZeroHash: null,
  x25519Key: null,
  tlsKeyHash: null,
  ed25519Key: null,
  configDigest: CONFIG,
};

function pcrsWith(changes: Readonly<Record<number, Uint8Array | undefined>>): CborValue {
  const pcrs = pcrsOf([0, 1, 2, 3, 4]);
  pcrs.set(16, extendedPcr(nodeCrypto, CONFIG));
  for (const [index, value] of Object.entries(changes)) {
    if (value === undefined) pcrs.delete(Number(index));
    else pcrs.set(Number(index), value);
  }
  return pcrs;
}

async function attested(
  changes: Readonly<Record<string, CborValue | undefined>> = {},
): Promise<VerifiedAttestation> {
  const document = await forgeDocument(chain, {
    pcrs: pcrsWith({}),
    nonce: NONCE,
    public_key: KEY,
    user_data: encodeUserData(ours),
    ...changes,
  });
  return assertAccepted(verifyAttestation(nodeCrypto, document, chain));
}

const pcr = (fill: number): Uint8Array => new Uint8Array(48).fill(fill);
const image: ImagePcrs = { pcr0: pcr(1), pcr1: pcr(2), pcr2: pcr(3) };
const all: AttestationPolicy = {
  pcrs: image,
  nonce: NONCE,
  purpose: PURPOSE.challenge,
  origin: ours.origin,
  configDigest: CONFIG,
  publicKey: KEY,
};

function codeOf(verified: VerifiedAttestation, policy: AttestationPolicy): string | null {
  const result = checkPolicy(nodeCrypto, verified, policy);
  return result.ok ? null : result.refusal.code;
}

describe('a policy', () => {
  it('that names everything accepts what fits, and gives back the user data', async () => {
    const verified = await attested();
    expect(assertAccepted(checkPolicy(nodeCrypto, verified, all))).toEqual(ours);
  });

  it.each<[string, Partial<AttestationPolicy>, string]>([
    ['PCR0', { pcrs: { ...image, pcr0: pcr(9) } }, 'pcr_mismatch'],
    ['PCR1', { pcrs: { ...image, pcr1: pcr(9) } }, 'pcr_mismatch'],
    ['PCR2', { pcrs: { ...image, pcr2: pcr(9) } }, 'pcr_mismatch'],
    ['PCR0 cut short', { pcrs: { ...image, pcr0: pcr(1).subarray(0, 47) } }, 'pcr_mismatch'],
    ['PCR4', { pcrs: { ...image, others: new Map([[4, pcr(9)]]) } }, 'pcr_mismatch'],
    ['PCR8, not listed', { pcrs: { ...image, others: new Map([[8, pcr(0)]]) } }, 'pcr_missing'],
    ['nonce', { nonce: hash(1) }, 'nonce_mismatch'],
    ['longer nonce', { nonce: new Uint8Array(33).fill(0x55) }, 'nonce_mismatch'],
    ['empty nonce', { nonce: new Uint8Array() }, 'nonce_mismatch'],
    ['public key', { publicKey: KEY.slice(1) }, 'public_key_mismatch'],
    ['purpose', { purpose: PURPOSE.boot }, 'purpose_mismatch'],
    ['origin', { origin: 'log.example/e0000000002' }, 'origin_mismatch'],
    ['configuration', { configDigest: hash(8) }, 'config_mismatch'],
  ])('with another %s refuses', async (_, change, code) => {
    expect(codeOf(await attested(), { ...all, ...change })).toBe(code);
  });

  it.each<[string, Readonly<Record<string, CborValue | undefined>>, string]>([
    ['without nonce', { nonce: undefined }, 'nonce_mismatch'],
    ['with a nonce of null', { nonce: null }, 'nonce_mismatch'],
    ['without public key', { public_key: null }, 'public_key_mismatch'],
    ['without user data', { user_data: null }, 'user_data_malformed'],
    ['with the user data of others', { user_data: Buffer.from('{}') }, 'user_data_malformed'],
    ['without PCR1', { pcrs: pcrsWith({ 1: undefined }) }, 'pcr_missing'],
    ['without PCR16', { pcrs: pcrsWith({ 16: undefined }) }, 'pcr_missing'],
    ['with another PCR16', { pcrs: pcrsWith({ 16: pcr(1) }) }, 'config_mismatch'],
    ['with PCR16 not extended', { pcrs: pcrsWith({ 16: pcr(0) }) }, 'config_mismatch'],
  ])('refuses a document %s', async (_, changes, code) => {
    expect(codeOf(await attested(changes), all)).toBe(code);
  });

  it('that demands a configuration refuses user data without one', async () => {
    const none = encodeUserData({ ...ours, configDigest: null });
    const verified = await attested({ user_data: none });
    expect(codeOf(verified, all)).toBe('config_mismatch');
    const { configDigest: _, ...rest } = all;
    expect(codeOf(verified, rest)).toBeNull();
  });

  it('that demands nothing of the user data still compares PCR16 with its claim', async () => {
    const verified = await attested({ pcrs: pcrsWith({ 16: pcr(1) }) });
    expect(codeOf(verified, { pcrs: image })).toBe('config_mismatch');
  });

  it('that demands nothing of it accepts the user data of others', async () => {
    const verified = await attested({ user_data: Buffer.from('{"a":1}') });
    expect(assertAccepted(checkPolicy(nodeCrypto, verified, { pcrs: image }))).toBeNull();
  });
});

describe('debug mode', () => {
  it.each([0, 1, 2])('is refused when PCR%d alone is zero', async (index) => {
    const verified = await attested({ pcrs: pcrsWith({ [index]: pcr(0) }) });
    expect(codeOf(verified, all)).toBe('debug_mode');
    expect(codeOf(verified, { pcrs: null })).toBe('debug_mode');
    expect(codeOf(verified, { pcrs: null, unsafeAllowDebug: true })).toBeNull();
    // Allowing debug mode does not allow any image.
    expect(codeOf(verified, { ...all, unsafeAllowDebug: true })).toBe('pcr_mismatch');
  });

  it('is assumed when the image has no measurement at all', async () => {
    const verified = await attested({ pcrs: pcrsWith({ 0: undefined }) });
    expect(codeOf(verified, { pcrs: null, unsafeAllowDebug: true })).toBe('pcr_missing');
  });
});

describe('origins', () => {
  it.each([
    ['log/e0000000001', 'log/e0000000001', true],
    ['log/e0000000001', 'log', true],
    ['log/e0000000001', 'lo', false],
    ['log/e0000000001', 'log/', false],
    ['log/x/e0000000001', 'log', false],
    ['log/e000000001', 'log', false],
    ['log/e0000000001/e0000000001', 'log', false],
    ['log', 'log/e0000000001', false],
    // A log whose id looks like the origin that a policy names.
    ['log/e0000000001/e0000000001', 'log/e0000000001', false],
  ])('%s for %s: %s', (actual, expected, matches) => {
    expect(matchesOrigin(actual, expected)).toBe(matches);
  });
});
