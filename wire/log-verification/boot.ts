// The first two leaves of an epoch: the header, and the attestation document that binds it. What
// verifies here is the key under which everything else of the epoch is judged, so nothing of the log is
// looked at before. Trusts the pinned root certificate and the policy; leaf and document are hostile.
// The document is judged at its own timestamp: its leaf certificate lives for hours, a log for years.

import { equalBytes, toHex } from '../bytes.ts';
import type { Configuration } from '../configuration.ts';
import { parseConfiguration } from '../configuration.ts';
import type { WireCrypto } from '../crypto.ts';
import type { AttestationPolicy } from '../attestation/policy.ts';
import { checkPolicy } from '../attestation/policy.ts';
import type { Purpose, UserData } from '../attestation/user-data.ts';
import { PURPOSE } from '../attestation/user-data.ts';
import type { AttestationTrust, VerifiedAttestation } from '../attestation/verify.ts';
import { checkTime, verifyAttestation } from '../attestation/verify.ts';
import type { EpochHeader } from '../header.ts';
import { originOf, parseHeader, streamsOf } from '../header.ts';
import type { Leaf } from '../leaf.ts';
import { KIND, LABEL, STREAM, parseLeaf } from '../leaf.ts';
import { openLeaf } from '../open-leaf.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import { leafHash } from '../tlog/edge.ts';

/** The root is that of all attestation documents of the epoch. */
export interface LogTrust extends AttestationTrust {
  /** Which image, log and configuration the verifier wants; `pcrs` null accepts any image. */
  readonly policy: Pick<
    AttestationPolicy,
    'pcrs' | 'unsafeAllowDebug' | 'origin' | 'configDigest' | 'publicKey'
  >;
}

/** Made by `verifyBoot` only. */
export interface VerifiedBoot {
  readonly header: EpochHeader;
  readonly configuration: Configuration;
  readonly leafZeroHash: Uint8Array;
  readonly attestation: VerifiedAttestation;
}

function sameKey(attested: Uint8Array | null, header: Uint8Array | null): boolean {
  if (attested === null || header === null) return attested === header;
  return equalBytes(attested, header);
}

/** A document of this epoch: proof, time, purpose, key, configuration, image. */
export function verifyEpochDocument(
  crypto: WireCrypto,
  document: Uint8Array,
  header: EpochHeader,
  expected: { readonly purpose: Purpose; readonly leafZeroHash: Uint8Array },
  trust: LogTrust,
): Result<{ readonly attestation: VerifiedAttestation; readonly userData: UserData }> {
  const verified = verifyAttestation(crypto, document, trust);
  if (!verified.ok) return verified;
  const attestation = verified.value;
  const { timestampMs, moduleId } = attestation.document;
  const time = checkTime(attestation, timestampMs);
  if (!time.ok) return time;
  const own = checkPolicy(crypto, attestation, {
    pcrs: null,
    unsafeAllowDebug: true,
    purpose: expected.purpose,
    origin: header.origin,
    configDigest: header.configurationDigest,
    publicKey: header.logKey,
  });
  if (!own.ok) return own;
  const userData = own.value;
  // A policy may name a log for all its epochs; the document is of this epoch.
  if (userData?.origin !== header.origin) return refuse('origin_mismatch');
  const demanded = checkPolicy(crypto, attestation, trust.policy);
  if (!demanded.ok) return demanded;
  const { leafZeroHash, tlsKeyHash, x25519Key, ed25519Key } = userData;
  if (leafZeroHash === null || !equalBytes(leafZeroHash, expected.leafZeroHash)) {
    return refuse('header_mismatch', { what: 'leaf_zero_hash' });
  }
  if (tlsKeyHash === null || !equalBytes(tlsKeyHash, header.tlsKeyHash)) {
    return refuse('header_mismatch', { what: 'tls_key_hash' });
  }
  if (!sameKey(x25519Key, header.x25519Key))
    return refuse('header_mismatch', { what: 'x25519_key' });
  if (!sameKey(ed25519Key, header.ed25519Key)) {
    return refuse('header_mismatch', { what: 'ed25519_key' });
  }
  if (moduleId !== header.moduleId) return refuse('header_mismatch', { what: 'module_id' });
  return accept({ attestation, userData });
}

/** Leaf 0 alone: its layout, and that it agrees with itself. Nothing is attested yet. */
export function readHeaderLeaf(
  crypto: WireCrypto,
  bytes: Uint8Array,
): Result<Pick<VerifiedBoot, 'header' | 'configuration'>> {
  const plaintext = openBootLeaf(crypto, bytes, KIND.header, 0);
  if (!plaintext.ok) return plaintext;
  const parsed = parseHeader(plaintext.value);
  if (!parsed.ok) return parsed;
  const header = parsed.value;
  const configured = parseConfiguration(header.configuration);
  if (!configured.ok) return configured;
  const configuration = configured.value;
  const disagreement = findDisagreement(crypto, header, configuration);
  return disagreement === null
    ? accept({ header, configuration })
    : refuse('header_mismatch', { what: disagreement });
}

/** The document in leaf 1. */
export function readAttestationLeaf(crypto: WireCrypto, bytes: Uint8Array): Result<Uint8Array> {
  return openBootLeaf(crypto, bytes, KIND.attestation, 1);
}

/** Header and document together; `leafZero` as logged. */
export function verifyBoot(
  crypto: WireCrypto,
  leafZero: Uint8Array,
  document: Uint8Array,
  trust: LogTrust,
): Result<VerifiedBoot> {
  const read = readHeaderLeaf(crypto, leafZero);
  if (!read.ok) return read;
  const { header } = read.value;
  const leafZeroHash = leafHash(crypto, leafZero);
  const expected = { purpose: PURPOSE.boot, leafZeroHash };
  const verified = verifyEpochDocument(crypto, document, header, expected, trust);
  if (!verified.ok) return verified;
  const { attestation, userData } = verified.value;
  // The boot document is made when the log has exactly its header.
  if (userData.head?.size !== 1 || !equalBytes(userData.head.root, leafZeroHash)) {
    return refuse('header_mismatch', { what: 'head' });
  }
  if (attestation.document.nonce !== null) return refuse('header_mismatch', { what: 'nonce' });
  if (attestation.document.timestampMs < header.clock.nsmTimestampMs) {
    return refuse('header_mismatch', { what: 'nsm_timestamp' });
  }
  return accept({ ...read.value, leafZeroHash, attestation });
}

function openBootLeaf(
  crypto: WireCrypto,
  bytes: Uint8Array,
  kind: Leaf['kind'],
  index: number,
): Result<Uint8Array> {
  const parsed = parseLeaf(bytes);
  if (!parsed.ok) return refuse(parsed.refusal.code, { ...parsed.refusal.detail, index });
  const leaf = parsed.value;
  const placed =
    leaf.kind === kind &&
    leaf.stream === STREAM.enclave &&
    leaf.label === LABEL.enclave &&
    leaf.sequence === index &&
    leaf.causes.length === 0 &&
    leaf.body.form === 'public';
  if (!placed) return refuse('leaf_misplaced', { index, kind: leaf.kind });
  const opened = openLeaf(crypto, leaf, null, null);
  if (!opened.ok) return refuse(opened.refusal.code, { ...opened.refusal.detail, index });
  return accept(opened.value.plaintext);
}

const sealText = (purpose: string, name: string, arn: string): string =>
  `${purpose}/${name} ${arn}`;

/** What the configuration wants sealed came sealed under the keys that it names, and nothing else. */
function agreeOnSecrets(header: EpochHeader, configuration: Configuration): boolean {
  const { sealed = [], data_keys: dataKeys = [] } = configuration;
  const came = new Set(header.sealed.map((one) => sealText(one.purpose, one.name, one.keyArn)));
  const named = new Set(dataKeys.map(({ name }) => name));
  const versions = new Set(header.dataKeys.map(({ name, version }) => `${name} ${version}`));
  return (
    header.sealed.length === sealed.length &&
    sealed.every((one) => came.has(sealText(one.purpose, one.name, one.key_arn))) &&
    versions.size === header.dataKeys.length &&
    header.dataKeys.every(({ name }) => named.has(name)) &&
    dataKeys.every(({ name }) => header.dataKeys.some((one) => one.name === name))
  );
}

/** The field in which header and configuration contradict one another; null when they agree. */
function findDisagreement(
  crypto: WireCrypto,
  header: EpochHeader,
  configuration: Configuration,
): string | null {
  if (!equalBytes(crypto.sha256(header.configuration), header.configurationDigest)) {
    return 'configuration_digest';
  }
  if (header.origin !== originOf(configuration.log_id, header.epoch)) return 'origin';
  if (header.feedMode !== configuration.feed_mode) return 'feed_mode';
  if (header.commitPolicy !== configuration.commit_policy) return 'commit_policy';
  const streams = streamsOf(configuration, header.strategies);
  const sameStreams = streams.every(({ id, label, name }, at) => {
    const entry = header.streams[at];
    return entry?.id === id && entry.label === label && entry.name === name;
  });
  if (!sameStreams || header.streams.length !== streams.length) return 'streams';
  const strategies = new Map(header.strategies.map((strategy) => [strategy.name, strategy]));
  const slots = new Set(header.strategies.map(({ stream }) => stream));
  const count = configuration.strategies.length;
  if (slots.size !== count || header.strategies.length !== count) return 'strategies';
  for (const { name, version, commitment } of configuration.strategies) {
    const entry = strategies.get(name);
    if (entry?.version !== version || toHex(entry.bundleCommitment) !== commitment) {
      return 'strategies';
    }
  }
  if (!agreeOnSecrets(header, configuration)) return 'sealed';
  const first = header.previous === null;
  if (first !== (header.epoch === 1)) return 'previous';
  if (header.previous !== null && header.previous.epoch !== header.epoch - 1) return 'previous';
  return null;
}
