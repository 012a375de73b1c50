// Whose keys of AWS KMS could give the secrets of an epoch away. Sealed items and data keys are released by
// KMS to the image that the key policy names; whoever administers a key may change that policy.

import type { Configuration } from '../../wire/configuration.ts';
import type { EpochHeader } from '../../wire/header.ts';
import { parseKeyArn } from '../../wire/sealed.ts';
import { toHex } from '../../wire/bytes.ts';
import type { ResidualRisk } from '../residual-risks.ts';

export interface SealedFact {
  readonly purpose: string;
  readonly name: string;
  readonly version: number;
  readonly commitment: string;
  readonly key_arn: string;
  /** Twelve digits. */
  readonly account: string;
}

export interface DataKeyFact {
  readonly name: string;
  readonly version: number;
  readonly key_arn: string;
  readonly account: string;
}

export interface KeyFacts {
  readonly sealed: readonly SealedFact[];
  readonly data_keys: readonly DataKeyFact[];
  /** Of all these keys, ascending. */
  readonly key_accounts: readonly string[];
}

interface Epoch {
  readonly header: EpochHeader;
  readonly configuration: Configuration;
}

function accountOf(arn: string): string {
  return parseKeyArn(arn)?.account ?? 'unknown';
}

/** Of a header that agrees with its configuration. */
export function keyFacts({ header, configuration }: Epoch): KeyFacts {
  const sealed = header.sealed.map(({ purpose, name, version, commitment, keyArn }) => ({
    purpose,
    name,
    version,
    commitment: toHex(commitment),
    key_arn: keyArn,
    account: accountOf(keyArn),
  }));
  const arns = new Map(configuration.data_keys?.map(({ name, key_arn }) => [name, key_arn]));
  const data_keys = header.dataKeys.map(({ name, version }) => {
    const arn = arns.get(name) ?? '';
    return { name, version, key_arn: arn, account: accountOf(arn) };
  });
  const accounts = new Set([...sealed, ...data_keys].map(({ account }) => account));
  return { sealed, data_keys, key_accounts: [...accounts].sort() };
}

/** What the secrecy of sealed items and data keys rests on; nothing where there are none. */
export function keyTrust(epoch: Epoch): readonly ResidualRisk[] {
  const { key_accounts: accounts } = keyFacts(epoch);
  if (accounts.length === 0) return [];
  const whose = accounts.length === 1 ? 'account' : 'accounts';
  return [
    {
      risk: 'aws_kms',
      sentence: `AWS KMS, and whoever administers the keys in ${whose} ${accounts.join(', ')}: they could release the sealed items to another image`,
    },
  ];
}
