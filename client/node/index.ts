// SecureClient for Node: its own crypto, and TLS whose key is compared with the attested one before a byte of an envelope
// is sent.

import { webcrypto } from 'node:crypto';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { SavedSession } from '../registration.ts';
import type { Environment, ResumeOptions, SecureClientOptions } from '../secure-client.ts';
import { SecureClient as Base } from '../secure-client.ts';
import type { EnclaveClientOptions } from './enclave-client.ts';
import { EnclaveClient as BaseEnclaveClient } from './enclave-client.ts';
import { nodeHttps } from './https.ts';

export { SecureClientError } from '../error.ts';
export type * from '../public-types.ts';
export type { RangeQuestion, TrackQuestion } from './asked-rows.ts';
export type {
  ChainAnswer,
  EnclaveClientOptions,
  EnclaveHealth,
  MetricsAnswer,
  SyncOutcome,
  TrackAnswer,
} from './enclave-client.ts';
export type { ChainRow } from './track-chain.ts';
export type { TrackTotals } from './track-totals.ts';
export type { VerifiedMetrics, VerifiedReturn, VerifiedSnapshot } from './track-rows.ts';

export function nodeEnvironment(): Environment {
  return {
    crypto: nodeCrypto,
    platform: {
      getRandomValues: (bytes) => webcrypto.getRandomValues(bytes),
      subtle: webcrypto.subtle,
    },
    http: nodeHttps,
    pinsTlsKey: true,
    nowMs: () => Date.now(),
  };
}

export class SecureClient extends Base {
  /** Throws a SecureClientError without a policy, or for an option that is wrong. */
  constructor(options: SecureClientOptions) {
    super(nodeEnvironment(), options.enclaveUrl, options, { account: options });
  }

  /** Goes on with a session of before. */
  static resume(session: SavedSession, options: ResumeOptions): Base {
    return new Base(nodeEnvironment(), session.enclaveUrl, options, { session });
  }
}

/** The track record over gRPC, with a client certificate. */
export class EnclaveClient extends BaseEnclaveClient {
  /** Throws a SecureClientError without a policy. */
  constructor(options: EnclaveClientOptions) {
    super(nodeEnvironment(), options);
  }
}
