// The part of the boot that makes the host's sealed bytes usable. Everything that can be checked without KMS is
// checked first; KMS is asked only for an epoch whose configuration is measured and locked, because the
// attestation document says so.

import type { WireCrypto } from '../../wire/crypto.ts';
import type { DeskSecret } from '../../wire/desk-frames.ts';
import type { DataKeyEntry } from '../../wire/header.ts';
import type { DataKeys } from '../../wire/kms-frames.ts';
import type { Egress } from '../egress.ts';
import { Fatal, orFatal } from '../fatal.ts';
import type { Nsm } from '../nsm/nsm.ts';
import { Kms } from './client.ts';
import type { Credentials } from './credentials.ts';
import { openDataKeys } from './data-keys.ts';
import { Recipient } from './recipient.ts';
import type { SealTerms, Unsealed } from './sealed-items.ts';
import { checkSealed, openSealed } from './sealed-items.ts';

export interface UnsealServices {
  readonly crypto: WireCrypto;
  readonly nsm: Nsm;
  readonly egress: Egress;
  readonly credentials: Credentials;
  /** A new data-key record, for the host to keep. */
  readonly keep: (record: Uint8Array) => void;
}

export interface Secrets extends Unsealed {
  readonly dataKeys: readonly DataKeyEntry[];
  /** All versions of the data key of the desk's vault. */
  readonly vaultKeys: readonly DeskSecret[];
}

const IMAGE_PCR = 0;

/** PCR0, as the NSM of this enclave says. */
export async function readImage(nsm: Nsm): Promise<Uint8Array> {
  return orFatal(await nsm.describePcr(IMAGE_PCR)).value;
}

/** Throws a SecretError, or another Fatal. */
export async function unseal(
  services: UnsealServices,
  terms: SealTerms,
  origin: string,
  sealed: readonly Uint8Array[],
  dataKeys: DataKeys,
): Promise<Secrets> {
  const { crypto, nsm, egress, credentials, keep } = services;
  const { configuration, configurationDigest: configDigest } = terms;
  const seals = checkSealed(crypto, terms, sealed);
  const wanted = seals.length + (configuration.data_keys?.length ?? 0);
  const brought = dataKeys.records.length + dataKeys.rotate.length;
  if (wanted === 0 && brought > 0) throw new Fatal('seal_unexpected');
  const { kms: configured } = configuration;
  // The configuration has `kms` where it has either of the two.
  if (wanted === 0 || configured === undefined) {
    const nothing = { clientCa: null, databasePassword: null };
    return { items: [], entries: [], accounts: [], ...nothing, dataKeys: [], vaultKeys: [] };
  }
  const recipient = orFatal(await Recipient.create(crypto, nsm, { origin, configDigest }));
  const kms = new Kms({ egress, credentials, recipient }, configured);
  try {
    const unsealed = await openSealed(crypto, kms, seals, configuration);
    return { ...unsealed, ...(await openDataKeys(kms, terms, dataKeys, keep)) };
  } finally {
    kms.close();
  }
}
