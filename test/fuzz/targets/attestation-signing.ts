// Signs mutants of attestation documents again, with the signatures of model-crypto.ts: every certificate
// under the key that its issuer's certificate shows, the envelope under the leaf's. Reads leniently, because
// what it signs is damaged.

import { encodeSigStructure } from '../../../wire/attestation/cose.ts';
import { concatBytes, parseHex, utf8 } from '../../../wire/bytes.ts';
import { encodeUserData, PURPOSE } from '../../../wire/attestation/user-data.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import type { Mutator } from '../mutate/bytes.ts';
import { mutateBytes } from '../mutate/bytes.ts';
import { mutateCbor } from '../mutate/cbor.ts';
import type { CborNode } from '../mutate/cbor-tree.ts';
import { nodeOf, readTree, writeTree } from '../mutate/cbor-tree.ts';
import type { DerNode } from '../mutate/der.ts';
import { changeDer, copyDer, readDer, writeDer } from '../mutate/der.ts';
import type { Random } from '../random.ts';
import { signDer, signRaw } from './model-crypto.ts';

const PROTECTED = parseHex('a1013822') ?? new Uint8Array();
const BIT_STRING = 0x03;
const SEQUENCE = 0x30;
/** Position of the key in a TBSCertificate. */
const SPKI_AT = 6;
const MAX_BYTES = 16_384;

function child(node: DerNode | undefined, at: number): DerNode | undefined {
  return node?.items[at];
}

function spkiOf(certificate: DerNode): Uint8Array {
  const spki = child(child(certificate, 0), SPKI_AT);
  return spki === undefined ? new Uint8Array(0) : writeDer(spki);
}

/** Signs the certificate in place when it still has three parts. */
function signCertificate(certificate: DerNode, issuerSpki: Uint8Array): void {
  const [tbs, , signature] = certificate.items;
  if (tbs === undefined || signature === undefined || certificate.tag !== SEQUENCE) return;
  signature.tag = BIT_STRING;
  signature.items = [];
  signature.content = concatBytes(Uint8Array.of(0), signDer(issuerSpki, writeDer(tbs)));
}

interface Parts {
  payload: CborNode;
  /** Root first, the leaf last. */
  certificates: DerNode[];
}

/** The value of a text key of the payload. */
function valueOf(payload: CborNode, key: string): CborNode | undefined {
  const at = payload.items.findIndex(
    (item, index) =>
      index % 2 === 0 && item.major === 3 && Buffer.from(item.content).equals(utf8(key)),
  );
  return at < 0 ? undefined : payload.items[at + 1];
}

function takeApart(document: Uint8Array): Parts | null {
  const envelope = readTree(document);
  const parts = envelope?.major === 6 ? envelope.items[0] : envelope;
  const payload = readTree(parts?.items[2]?.content ?? new Uint8Array(0));
  if (payload?.major !== 5) return null;
  const ders = [
    ...(valueOf(payload, 'cabundle')?.items ?? []),
    valueOf(payload, 'certificate'),
  ].map((node) => readDer(node?.content ?? new Uint8Array(0)));
  const certificates = ders.filter((der) => der !== null);
  return certificates.length > 1 ? { payload, certificates } : null;
}

/** Puts the certificates back, signed, and signs the whole. */
function putTogether({ payload, certificates }: Parts, changed: Uint8Array | null): Uint8Array {
  const leaf = certificates.at(-1);
  const bundle = valueOf(payload, 'cabundle');
  const shown = valueOf(payload, 'certificate');
  for (const [position, certificate] of certificates.entries()) {
    const issuer = certificates[position - 1];
    if (issuer !== undefined) signCertificate(certificate, spkiOf(issuer));
  }
  if (bundle !== undefined) {
    bundle.items = certificates
      .slice(0, -1)
      .map((certificate) => nodeOf(2, { content: writeDer(certificate) }));
  }
  if (shown !== undefined && leaf !== undefined) shown.content = writeDer(leaf);
  const bytes = changed ?? writeTree(payload);
  const spki = leaf === undefined ? new Uint8Array(0) : spkiOf(leaf);
  const signature = signRaw(spki, encodeSigStructure(PROTECTED, bytes));
  const items = [PROTECTED, null, bytes, signature].map((content) =>
    content === null ? nodeOf(5) : nodeOf(2, { content }),
  );
  return writeTree(nodeOf(4, { items }));
}

/** The same document with signatures that `modelCrypto` accepts. */
export function signAgain(document: Uint8Array): Uint8Array {
  const parts = takeApart(document);
  if (parts === null) throw new Error('a seed must be a document');
  return putTogether(parts, null);
}

function changeChain(random: Random, parts: Parts, other: Uint8Array): void {
  const { certificates } = parts;
  const choice = random.below(8);
  const at = random.below(certificates.length);
  const chosen = certificates[at];
  if (chosen === undefined) return;
  if (choice === 0 && certificates.length > 2) certificates.splice(at, 1);
  else if (choice === 1) certificates.splice(at, 0, copyDer(chosen));
  else if (choice === 2) {
    certificates.splice(at, 1);
    certificates.splice(random.below(certificates.length + 1), 0, chosen);
  } else {
    // The root is pinned by its bytes: nothing below is looked at when it changes.
    const below = certificates.slice(random.oneIn(16) ? 0 : 1);
    const certificate = random.pick(below);
    const extensions = certificate.items[0]?.items.at(-1);
    changeDer(
      random,
      random.oneIn(2) && extensions !== undefined ? extensions : certificate,
      other,
    );
  }
}

const SOME_HASH = nodeCrypto.sha256(utf8('a configuration'));

/** User data of ours, right or nearly. */
function someUserData(random: Random): Uint8Array {
  const maybe = (): Uint8Array | null => (random.oneIn(3) ? null : SOME_HASH);
  return encodeUserData({
    purpose: random.pick(Object.values(PURPOSE)),
    origin: random.pick(['trackseal.test/log/e0000000001', 'trackseal.test/log', 'x']),
    head: random.oneIn(3) ? null : { size: random.below(9), root: SOME_HASH },
    leafZeroHash: maybe(),
    x25519Key: maybe(),
    tlsKeyHash: maybe(),
    ed25519Key: maybe(),
    configDigest: random.pick([null, SOME_HASH, new Uint8Array(32).fill(1)]),
  });
}

const mutatePayload = mutateCbor({ words: ['nitrotpm_pcrs', 'SHA512'], maxBytes: MAX_BYTES });

export const mutateSignedDocument: Mutator = (random, input, other) => {
  const parts = takeApart(input);
  if (parts === null) return mutateBytes(random, input, other);
  const choice = random.below(16);
  if (choice < 9) changeChain(random, parts, other);
  if (choice === 9) {
    const userData = valueOf(parts.payload, 'user_data');
    const pcr = valueOf(parts.payload, 'pcrs')?.items[2 * 16 + 1];
    if (userData !== undefined) {
      Object.assign(userData, nodeOf(2, { content: someUserData(random) }));
    }
    if (pcr !== undefined && random.oneIn(2)) {
      pcr.content = nodeCrypto.sha384(new Uint8Array(48), SOME_HASH);
    }
  }
  if (choice === 10) return mutateBytes(random, putTogether(parts, null), other);
  if (choice < 10) return putTogether(parts, null);
  return putTogether(parts, mutatePayload(random, writeTree(parts.payload), other));
};
