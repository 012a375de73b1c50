// Configuration and header of the epochs that EpochBuilder makes: one input stream, one strategy.

import { generateComplianceKey, parseComplianceKey } from '../../verifier/compliance-key.ts';
import { parseHex, toHex, utf8 } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { wrapDisclosureKey } from '../../wire/disclosure.ts';
import type { EpochHeader, PreviousEpoch } from '../../wire/header.ts';
import { originOf } from '../../wire/header.ts';
import { LABEL, STREAM } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';

export const LOG_ID = 'trackseal.test/log';
export const INPUT_STREAM = 1;
export const INSTRUMENT = 1;
export const STRATEGY_STREAM: number = STREAM.firstStrategy;
const COMMITMENT = new Uint8Array(32).fill(0xc0);
export const MILLISECOND_NS = 1_000_000n;

/** Compliance of all test epochs. */
export const compliance: { readonly pem: string; readonly publicHex: string } =
  generateComplianceKey();

export function testConfiguration(changes: Partial<Configuration> = {}): Configuration {
  return {
    version: 1,
    log_id: LOG_ID,
    feed_mode: 'replay',
    commit_policy: 'spool',
    compliance_public_key: compliance.publicHex,
    instruments: [
      {
        id: INSTRUMENT,
        venue: 'binance',
        symbol: 'BTCUSDT',
        market: 'spot',
        price_scale: 2,
        quantity_scale: 5,
        sequence_rule: 'binance-spot',
      },
    ],
    streams: [{ id: INPUT_STREAM, name: 'btcusdt' }],
    strategies: [
      { name: 'example', version: '1.0.0', commitment: toHex(COMMITMENT), time_budget_ms: 100 },
    ],
    intervals: { anchor_ms: 60_000, heartbeat_ms: 1000, commit_ms: 2 },
    limits: { clock_divergence_ms: 1000, attestations_per_second: 5 },
    tls_names: ['localhost'],
    ...changes,
  };
}

export interface HeaderParts {
  readonly epoch: number;
  readonly logKey: Uint8Array;
  readonly configuration: Uint8Array;
  readonly disclosureKey: Uint8Array;
  readonly previous: PreviousEpoch | null;
  readonly nowMs: number;
  readonly logId: string;
  readonly feedMode: 'live' | 'replay';
}

export function honestHeader(moduleId: string, parts: HeaderParts): EpochHeader {
  const { epoch, logKey, configuration, disclosureKey, previous, nowMs } = parts;
  const origin = originOf(parts.logId, epoch);
  const pair = generateComplianceKey();
  const ephemeral = parseComplianceKey(pair.pem);
  const compliancePublic = parseHex(compliance.publicHex);
  if (ephemeral === null || compliancePublic === null) throw new Error('keys of the tests');
  return {
    origin,
    epoch,
    logKey,
    tlsKeyHash: nodeCrypto.sha256(utf8('TLS key of a test')),
    x25519Key: nodeCrypto.sha256(utf8('X25519 key of a test')),
    ed25519Key: nodeCrypto.sha256(utf8('Ed25519 key of a test')),
    configurationDigest: nodeCrypto.sha256(configuration),
    configuration,
    version: 3,
    commitPolicy: 'spool',
    sealed: [],
    dataKeys: [],
    feedMode: parts.feedMode,
    streams: [
      { id: STREAM.enclave, label: LABEL.enclave, name: 'enclave' },
      { id: INPUT_STREAM, label: LABEL.host, name: 'btcusdt' },
      { id: STRATEGY_STREAM, label: LABEL.strategy, name: 'example' },
      { id: STREAM.reports, label: LABEL.host, name: 'reports' },
    ],
    strategies: [
      {
        stream: STRATEGY_STREAM,
        name: 'example',
        version: '1.0.0',
        bundleCommitment: COMMITMENT,
        parametersCommitment: new Uint8Array(32).fill(0xc1),
      },
    ],
    wrappedDisclosureKey: assertAccepted(
      wrapDisclosureKey(nodeCrypto, disclosureKey, compliancePublic, ephemeral, origin),
    ),
    previous,
    clock: { wallNs: BigInt(nowMs) * MILLISECOND_NS, nsmTimestampMs: nowMs, errorBoundNs: 1000 },
    moduleId,
  };
}
