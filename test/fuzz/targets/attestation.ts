// Attestation documents. `attestation`: real and simulated documents, real signatures. `attestation-signed`:
// mutants that are signed again all the way down, so that chain, time and policy are reached. Whatever is
// accepted means the same to cborg.

import { readFileSync } from 'node:fs';
import { decode } from 'cborg';
import { parseCoseSign1 } from '../../../wire/attestation/cose.ts';
import { parseCertificate } from '../../../wire/attestation/certificate.ts';
import { parseDocument } from '../../../wire/attestation/document.ts';
import { parseAttestation } from '../../../wire/attestation/parse.ts';
import { checkPolicy } from '../../../wire/attestation/policy.ts';
import { PURPOSE } from '../../../wire/attestation/user-data.ts';
import {
  checkAge,
  checkTime,
  examineAttestation,
  verifyAttestation,
} from '../../../wire/attestation/verify.ts';
import type { WireCrypto } from '../../../wire/crypto.ts';
import { MAX_DOCUMENT_BYTES } from '../../../wire/limits.ts';
import { MANIFEST, readFixture, ROOT_DER } from '../../wire/attestation/fixtures.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import { mutateCbor } from '../mutate/cbor.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge, sameValue } from '../target.ts';
import { mutateSignedDocument, signAgain } from './attestation-signing.ts';
import { forgetVerifications, modelCrypto, rememberingCrypto } from './model-crypto.ts';

const FILES = [
  'wire/attestation/cose-envelope.ts',
  'wire/attestation/cose.ts',
  'wire/attestation/document.ts',
  'wire/attestation/parse.ts',
  'wire/attestation/certificate.ts',
  'wire/attestation/chain.ts',
  'wire/attestation/der.ts',
  'wire/attestation/verify.ts',
  'wire/attestation/policy.ts',
  'wire/attestation/parse-user-data.ts',
  'wire/cbor.ts',
];
const WORDS = [
  'module_id',
  'digest',
  'timestamp',
  'pcrs',
  'certificate',
  'cabundle',
  'public_key',
  'user_data',
  'nonce',
  'nitrotpm_pcrs',
  'SHA512',
  'i-0123456789abcdef0-tpm0',
];
const SIMULATED: Uint8Array = new Uint8Array(
  readFileSync(new URL('../seeds/simulated-challenge.cbor', import.meta.url)),
);
const HASH = new Uint8Array(32).fill(1);
const PCR = new Uint8Array(48).fill(2);

/** cborg reads the same document; null is what AWS writes for an absent field. */
function checkPeer(bytes: Uint8Array): void {
  const cose = parseCoseSign1(bytes);
  if (!cose.ok) return;
  const document = parseDocument(cose.value.payload);
  if (!document.ok) return;
  let peer: unknown;
  try {
    const options = { useMaps: true, rejectDuplicateMapKeys: true };
    peer = decode(cose.value.payload, options);
  } catch (error) {
    // Unknown keys may hold what it has no value for.
    if (error instanceof Error && /integers/u.test(error.message)) return;
    expectThat(false, `cborg refuses: ${error instanceof Error ? error.message : 'nothing'}`);
  }
  const map = peer as ReadonlyMap<string, unknown>;
  const { value } = document;
  const ours = [
    ['module_id', value.moduleId],
    ['timestamp', value.timestampMs],
    ['pcrs', value.pcrs],
    ['certificate', value.certificate],
    ['cabundle', value.cabundle],
    ['public_key', value.publicKey],
    ['user_data', value.userData],
    ['nonce', value.nonce],
  ] as const;
  for (const [field, own] of ours) {
    expectThat(sameValue(map.get(field) ?? null, own), `cborg reads another ${field}`);
  }
}

function judgePolicies(crypto: WireCrypto, bytes: Uint8Array, rootDer: Uint8Array): string {
  const verified = verifyAttestation(crypto, bytes, { rootDer });
  const outcome = judge(verified);
  const examined = examineAttestation(crypto, bytes, { rootDer });
  const passed = examined.ok && examined.value.verified !== null;
  expectThat(passed === verified.ok, 'examined and verified disagree');
  if (!verified.ok) return outcome;
  const { timestampMs, pcrs, nonce, publicKey } = verified.value.document;
  const pcr = (index: number): Uint8Array => pcrs.get(index) ?? PCR;
  const own = { pcr0: pcr(0), pcr1: pcr(1), pcr2: pcr(2), others: new Map([[8, PCR]]) };
  const policies = [
    { pcrs: null, unsafeAllowDebug: true },
    { pcrs: own },
    { pcrs: { pcr0: PCR, pcr1: PCR, pcr2: PCR } },
    {
      pcrs: null,
      unsafeAllowDebug: true,
      purpose: PURPOSE.challenge,
      origin: 'trackseal.test/log',
      configDigest: HASH,
    },
    { pcrs: null, nonce: nonce ?? HASH, publicKey: publicKey ?? HASH },
  ];
  return [
    outcome,
    ...policies.map((policy) => judge(checkPolicy(crypto, verified.value, policy))),
    judge(checkTime(verified.value, timestampMs)),
    judge(checkAge(verified.value, 1_760_000_000_000, 300_000)),
  ].join(' ');
}

function runner(
  crypto: WireCrypto,
  rootsDer: readonly Uint8Array[],
): (bytes: Uint8Array) => string {
  return (bytes) => {
    const before = bytes.slice();
    const parsed = parseAttestation(bytes);
    const outcome = judge(parsed);
    if (!parsed.ok) return outcome;
    checkPeer(bytes);
    const outcomes = rootsDer.map((rootDer) => judgePolicies(crypto, bytes, rootDer));
    expectSameBytes(bytes, before, 'the parser changes its input');
    return outcomes.join(' / ');
  };
}

const documentMutator: Mutator = mix(
  [4, mutateCbor({ words: WORDS, maxBytes: MAX_DOCUMENT_BYTES })],
  [1, mutateBytes],
);

function rootOf(document: Uint8Array): Uint8Array {
  const parsed = parseAttestation(document);
  const root = parsed.ok ? parsed.value.cabundle[0] : undefined;
  if (root === undefined || !parseCertificate(root).ok) throw new Error('a seed without a root');
  return root;
}

export function attestationTarget(): Target {
  const fixtures = MANIFEST.map(({ file }) => readFixture(file));
  return {
    name: 'attestation',
    files: FILES,
    maxBytes: MAX_DOCUMENT_BYTES + 1,
    seeds: [...fixtures, SIMULATED],
    mutate: documentMutator,
    run: runner(rememberingCrypto, [ROOT_DER, rootOf(SIMULATED)]),
    settle: () => Promise.resolve(forgetVerifications()),
  };
}

export function attestationSignedTarget(): Target {
  const seeds = [SIMULATED, readFixture('real-2026-02-06-prod-indefmap-nonce32.cbor')];
  const signed = seeds.map((seed) => signAgain(seed));
  return {
    name: 'attestation-signed',
    files: FILES,
    maxBytes: MAX_DOCUMENT_BYTES + 1,
    seeds: signed,
    mutate: mutateSignedDocument,
    run: runner(
      modelCrypto,
      signed.map((document) => rootOf(document)),
    ),
  };
}
