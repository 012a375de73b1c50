// The strategies that the host brings, against what the configuration names and the image has measured.
// A host can bring other bytes, too few or too many: each is refused before anything is started.

import { parseHex } from '../wire/bytes.ts';
import { equalBytes } from '../wire/bytes.ts';
import type { Configuration, ConfiguredStrategy } from '../wire/configuration.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import { STREAM } from '../wire/leaf.ts';
import type { Item, ItemPurpose } from '../wire/enclave-messages.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { MeasuredManifest } from '../wire/manifest.ts';

export interface StrategyMaterial {
  readonly stream: number;
  readonly name: string;
  readonly version: string;
  readonly bundle: Uint8Array;
  readonly salt: Uint8Array;
  readonly bundleCommitment: Uint8Array;
  readonly parameters: Uint8Array;
  readonly parametersCommitment: Uint8Array;
  readonly timeBudgetMs: number;
}

function isMeasured(manifest: MeasuredManifest, strategy: ConfiguredStrategy): boolean {
  return manifest.strategies.some(
    (measured) =>
      measured.name === strategy.name &&
      measured.version === strategy.version &&
      measured.commitment === strategy.commitment,
  );
}

function findItem(
  items: readonly Item[],
  purpose: ItemPurpose,
  strategy: ConfiguredStrategy,
): Item | undefined {
  return items.find(
    (item) =>
      item.purpose === purpose && item.name === strategy.name && item.version === strategy.version,
  );
}

function checkStrategy(
  crypto: WireCrypto,
  strategy: ConfiguredStrategy,
  stream: number,
  items: readonly Item[],
): Result<StrategyMaterial> {
  const { name, version, time_budget_ms: timeBudgetMs } = strategy;
  const bundle = findItem(items, 'strategy', strategy);
  const parameters = findItem(items, 'parameters', strategy);
  if (bundle === undefined || parameters === undefined) return refuse('item_missing', { name });
  const bundleCommitment = crypto.sha256(bundle.salt, bundle.bytes);
  const expected = parseHex(strategy.commitment);
  if (expected === null || !equalBytes(expected, bundleCommitment)) {
    return refuse('commitment_mismatch', { name });
  }
  return accept({
    stream,
    name,
    version,
    bundle: bundle.bytes,
    salt: bundle.salt,
    bundleCommitment,
    parameters: parameters.bytes,
    parametersCommitment: crypto.sha256(parameters.salt, parameters.bytes),
    timeBudgetMs,
  });
}

/**
 * One entry for each configured strategy, in that order, on streams from 1000. Refuses
 * `commitment_not_measured`, `item_missing`, `commitment_mismatch` and `item_unexpected`.
 */
export function checkItems(
  crypto: WireCrypto,
  configuration: Configuration,
  manifest: MeasuredManifest,
  items: readonly Item[],
): Result<readonly StrategyMaterial[]> {
  const materials: StrategyMaterial[] = [];
  for (const [position, strategy] of configuration.strategies.entries()) {
    if (!isMeasured(manifest, strategy)) {
      return refuse('commitment_not_measured', { name: strategy.name });
    }
    const material = checkStrategy(crypto, strategy, STREAM.firstStrategy + position, items);
    if (!material.ok) return material;
    materials.push(material.value);
  }
  // Two for each strategy and all of them found, so one more is another one or a second one.
  if (items.length !== 2 * materials.length) {
    return refuse('item_unexpected', { items: items.length, expected: 2 * materials.length });
  }
  return accept(materials);
}
