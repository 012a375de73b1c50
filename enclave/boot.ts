// The first half of the boot: from the host's messages to everything that leaf 0 says (docs/PROTOCOL.md
// 6). The order matters: the configuration is measured into PCR16 and all PCRs are locked before keys
// exist, so no document can bind a key of ours to another configuration.

import { concatBytes, equalBytes, isZero, parseHex } from '../wire/bytes.ts';
import type { Configuration } from '../wire/configuration.ts';
import { parseConfiguration } from '../wire/configuration.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import type { DeskPublicKeys, DeskSecret } from '../wire/desk-frames.ts';
import type { EpochHeader } from '../wire/header.ts';
import { HEADER_VERSION, originOf, streamsOf } from '../wire/header.ts';
import type { Transport } from '../wire/node/transport.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { attestTimed } from './attester.ts';
import type { BootMessages } from './boot-stream.ts';
import type { Clock } from './clock.ts';
import { checkDivergence, errorBoundNs } from './clock.ts';
import { Egress } from './egress.ts';
import { orFatal } from './fatal.ts';
import type { StrategyMaterial } from './items.ts';
import { checkItems } from './items.ts';
import type { Credentials } from './kms/credentials.ts';
import type { SealTerms } from './kms/sealed-items.ts';
import { readImage, unseal } from './kms/unseal.ts';
import type { LogKey, SecretSource } from './keys.ts';
import { generateLogKey, wrapForCompliance } from './keys.ts';
import { parseManifest } from '../wire/manifest.ts';
import type { Nsm } from './nsm/nsm.ts';
import type { VerifiedPrevious } from './previous.ts';
import { verifyPrevious } from './previous.ts';
import type { Lease } from './s3/lease.ts';
import { checkBucket, openLease, takeOver } from './s3/lease.ts';

const CONFIGURATION_PCR = 16;
const ALL_PCRS = 32;
const PCR_BYTES = 48;

export interface PreparedEpoch {
  readonly configuration: Configuration;
  readonly header: EpochHeader;
  readonly logKey: LogKey;
  readonly disclosureKey: Uint8Array;
  readonly strategies: readonly StrategyMaterial[];
  readonly previous: VerifiedPrevious | null;
  /** For the desk; wiped when it has them. */
  readonly vaultKeys: readonly DeskSecret[];
  readonly accounts: readonly DeskSecret[];
  readonly clientCa: Uint8Array | null;
  readonly databasePassword: Uint8Array | null;
  /** Null under policy spool. */
  readonly lease: Lease | null;
}

export interface BootServices {
  readonly crypto: WireCrypto;
  readonly nsm: Nsm;
  readonly clock: Clock;
  readonly secrets: SecretSource;
  /** Bytes of the measured manifest. */
  readonly measured: Uint8Array;
  /** Bytes of the measured roots.pem. */
  readonly roots: Uint8Array;
  readonly transport: Transport;
  readonly credentials: Credentials;
  /** The public halves of the desk's. */
  readonly deskKeys: DeskPublicKeys;
  /** A new data-key record, for the host to keep. */
  readonly keep: (record: Uint8Array) => void;
  /** Aborted at the end of the enclave. */
  readonly ending: AbortSignal;
}

/** PCR16 = SHA-384(48 zero bytes ‖ configuration digest), and no PCR can change any more. */
async function lockConfiguration(
  { crypto, nsm }: BootServices,
  digest: Uint8Array,
): Promise<Result<null>> {
  const before = await nsm.describePcr(CONFIGURATION_PCR);
  if (!before.ok) return before;
  // Somebody was here before: a second epoch needs a new boot of the enclave.
  if (before.value.locked || !isZero(before.value.value)) {
    return refuse('nsm_malformed', { pcr: CONFIGURATION_PCR, locked: before.value.locked });
  }
  const extended = await nsm.extendPcr(CONFIGURATION_PCR, digest);
  if (!extended.ok) return extended;
  const locked = await nsm.lockPcrs(ALL_PCRS);
  if (!locked.ok) return locked;
  const after = await nsm.describePcr(CONFIGURATION_PCR);
  if (!after.ok) return after;
  const expected = crypto.sha384(concatBytes(new Uint8Array(PCR_BYTES), digest));
  if (!after.value.locked || !equalBytes(after.value.value, expected)) {
    return refuse('nsm_malformed', { pcr: CONFIGURATION_PCR, locked: after.value.locked });
  }
  const description = await nsm.describe();
  if (!description.ok) return description;
  if (new Set(description.value.lockedPcrs).size !== ALL_PCRS) {
    return refuse('nsm_malformed', { locked_pcrs: description.value.lockedPcrs.length });
  }
  return accept(null);
}

/** Throws a Fatal with the code of the first check that fails. */
export async function prepareEpoch(
  services: BootServices,
  messages: BootMessages,
): Promise<PreparedEpoch> {
  const { crypto, nsm, clock, secrets, measured, roots, transport, deskKeys } = services;
  const configuration = orFatal(parseConfiguration(messages.configuration));
  const configurationDigest = crypto.sha256(messages.configuration);
  orFatal(await lockConfiguration(services, configurationDigest));

  const manifest = orFatal(parseManifest(measured));
  const egress = orFatal(Egress.open(crypto, transport, manifest, roots));
  const previous =
    messages.previous === null
      ? null
      : orFatal(verifyPrevious(crypto, messages.previous, configuration.log_id));
  const epoch = (previous?.entry.epoch ?? 0) + 1;
  const origin = originOf(configuration.log_id, epoch);
  // Before certificates are judged by the clock. The document is for its time only and never leaves.
  const nothing = { userData: null, nonce: null, publicKey: null };
  const { reading } = orFatal(await attestTimed(nsm, clock, nothing));
  orFatal(checkDivergence(reading, configuration.limits.clock_divergence_ms));
  const { moduleId } = orFatal(await nsm.describe());

  const terms: SealTerms = {
    configuration,
    configurationDigest,
    ownerKey: manifest.owner_key === null ? null : parseHex(manifest.owner_key),
    image: await readImage(nsm),
    previous: previous?.header ?? null,
  };
  const unsealing = { ...services, egress };
  const sealed = await unseal(unsealing, terms, origin, messages.sealed, messages.dataKeys);
  const items = [...messages.items, ...sealed.items];
  const strategies = orFatal(checkItems(crypto, configuration, manifest, items));

  const logKey = generateLogKey();
  const lease = openLease(services, configuration, egress);
  // After the clock was checked, which the dates of the retention are made of.
  if (lease !== null) await checkBucket(lease);
  if (lease !== null && previous !== null && messages.previous !== null) {
    await takeOver(lease, messages.previous, previous.entry, { origin, key: logKey });
  }
  const disclosureKey = secrets.draw();
  const compliancePublic = parseHex(configuration.compliance_public_key) ?? new Uint8Array(0);
  const header: EpochHeader = {
    version: HEADER_VERSION,
    origin,
    epoch,
    logKey: logKey.spki,
    tlsKeyHash: crypto.sha256(deskKeys.tlsSpki),
    x25519Key: deskKeys.x25519,
    ed25519Key: deskKeys.ed25519,
    configurationDigest,
    configuration: messages.configuration,
    commitPolicy: configuration.commit_policy,
    feedMode: configuration.feed_mode,
    streams: streamsOf(configuration, strategies),
    strategies: strategies.map(
      ({ stream, name, version, bundleCommitment, parametersCommitment }) => ({
        stream,
        name,
        version,
        bundleCommitment,
        parametersCommitment,
      }),
    ),
    wrappedDisclosureKey: orFatal(
      wrapForCompliance(crypto, disclosureKey, compliancePublic, origin),
    ),
    previous: previous?.entry ?? null,
    clock: {
      wallNs: clock.bootWallNs,
      nsmTimestampMs: reading.timestampMs,
      errorBoundNs: Number(errorBoundNs(reading)),
    },
    moduleId,
    sealed: sealed.entries,
    dataKeys: sealed.dataKeys,
  };
  return {
    configuration,
    header,
    logKey,
    disclosureKey,
    strategies,
    previous,
    vaultKeys: sealed.vaultKeys,
    accounts: sealed.accounts,
    clientCa: sealed.clientCa,
    databasePassword: sealed.databasePassword,
    lease,
  };
}
