// In what an epoch differs from the one before it. A host may boot another image, configuration or set of
// parameters whenever it likes; each epoch says what it ran with, and the verdict says what changed.

import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { StrategyEntry } from '../../wire/header.ts';
import type { LinkedEpoch } from './epoch-link.ts';
import type { VerifiedBoot } from '../../wire/log-verification/boot.ts';

export type EpochChange = 'image' | 'configuration' | 'strategies' | 'parameters';

const IMAGE_PCRS = [0, 1, 2];
const NONE = new Uint8Array();

function strategiesText(
  { header }: VerifiedBoot,
  of: (strategy: StrategyEntry) => readonly string[],
): string {
  return JSON.stringify(header.strategies.map(of));
}

const PARTS: Readonly<Record<EpochChange, (boot: VerifiedBoot) => string>> = {
  image: ({ attestation }) =>
    IMAGE_PCRS.map((index) => toHex(attestation.document.pcrs.get(index) ?? NONE)).join(),
  configuration: ({ header }) => toHex(header.configurationDigest),
  strategies: (boot) =>
    strategiesText(boot, ({ name, version, bundleCommitment }) => [
      name,
      version,
      toHex(bundleCommitment),
    ]),
  parameters: (boot) =>
    strategiesText(boot, ({ name, parametersCommitment }) => [name, toHex(parametersCommitment)]),
};

export function changesSince(before: VerifiedBoot, now: VerifiedBoot): readonly EpochChange[] {
  const parts = Object.entries(PARTS) as readonly [EpochChange, (boot: VerifiedBoot) => string][];
  return parts.filter(([, of]) => of(before) !== of(now)).map(([change]) => change);
}

/**
 * How the image of an epoch follows from the one before: the same one; the one that was announced there; another
 * one, of which nobody had said anything; or another one than was announced. None of it makes an image trusted:
 * that is the policy's, or its release key's.
 */
export type Succession = 'same_image' | 'announced' | 'unannounced' | 'other_than_announced';

export function successionOf(before: LinkedEpoch, now: VerifiedBoot): Succession {
  const { handOver } = before;
  const { pcrs } = now.attestation.document;
  if (handOver === null) {
    return changesSince(before.boot, now).includes('image') ? 'unannounced' : 'same_image';
  }
  const fits = IMAGE_PCRS.every((index) =>
    equalBytes(handOver.pcrs[index] ?? NONE, pcrs.get(index) ?? NONE),
  );
  return fits ? 'announced' : 'other_than_announced';
}
