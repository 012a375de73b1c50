// wire/payloads.ts: the plaintexts of all leaf kinds, and their description for people.

import { describePayload } from '../../../verifier/log/payload.ts';
import type { Kind } from '../../../wire/leaf.ts';
import { KIND } from '../../../wire/leaf.ts';
import { MAX_LEAF_BYTES } from '../../../wire/limits.ts';
import * as payloads from '../../../wire/payloads.ts';
import { testConfiguration } from '../../helpers/epoch-header.ts';
import type { Target } from '../target.ts';
import { expectThat } from '../target.ts';
import { canonicalTarget, codec } from './canonical.ts';

const TIME_NS = 1_723_161_254_206_652_067n;
const configuration = testConfiguration();

/** Whatever parses can be shown. */
function described(kind: Kind): (_: unknown, bytes: Uint8Array) => string {
  return (_, bytes) => {
    const payload = describePayload(kind, bytes, configuration);
    expectThat(payload.ok, `kind ${kind} parses and cannot be described`);
    return '';
  };
}

export function payloadsTarget(): Target {
  const signal: payloads.Signal = {
    id: 3,
    instrument: 1,
    side: payloads.SIDE.sell,
    quantity: 10_000,
    limit: 268_317,
    ttlMs: 500,
    decisionNs: TIME_NS,
    causes: [96, 97],
  };
  const fill = { number: 0, price: 268_316, quantity: 10_000, fee: -5, timeNs: TIME_NS };
  const report: payloads.Report = {
    output: 97,
    clientOrderId: 'ts1011121314151617',
    status: payloads.STATUS.filled,
    reason: null,
    filledQuantity: 10_000,
    fills: [fill, { ...fill, number: 1 }],
    environment: 'paper',
    timeNs: TIME_NS,
  };
  const gap: payloads.Gap = {
    reason: payloads.GAP.refused,
    firstMissing: 5,
    count: 1,
    instrument: null,
    code: 'batch_malformed',
  };
  return canonicalTarget({
    name: 'payloads',
    files: [
      'wire/payloads.ts',
      'wire/enclave-payloads.ts',
      'wire/fields.ts',
      'verifier/log/payload.ts',
    ],
    maxBytes: MAX_LEAF_BYTES,
    words: ['paper', 'sandbox', 'live', 'batch_malformed', 'risk_kill_switch', 'strategy_crashed'],
    codecs: [
      codec(
        'gap',
        payloads.parseGap,
        payloads.encodeGap,
        [
          gap,
          {
            reason: payloads.GAP.declared,
            firstMissing: null,
            count: null,
            instrument: 1,
            code: null,
          },
        ],
        described(KIND.gap),
      ),
      codec(
        'signal',
        payloads.parseSignal,
        payloads.encodeSignal,
        [signal],
        described(KIND.output),
      ),
      codec(
        'report',
        payloads.parseReport,
        payloads.encodeReport,
        [
          report,
          { ...report, status: 6, reason: 'risk_kill_switch', fills: [], environment: 'live' },
        ],
        described(KIND.report),
      ),
      codec(
        'anchor',
        payloads.parseAnchor,
        payloads.encodeAnchor,
        [{ size: 9, document: new Uint8Array(40) }],
        described(KIND.anchor),
      ),
      codec(
        'heartbeat',
        payloads.parseHeartbeat,
        payloads.encodeHeartbeat,
        [{ acknowledgedSize: 12 }],
        described(KIND.heartbeat),
      ),
      codec('close', payloads.parseClose, payloads.encodeClose, [1, 2], described(KIND.close)),
      codec('seed', payloads.parseSeed, payloads.encodeSeed, [new Uint8Array(32)]),
      codec(
        'recovery',
        payloads.parseRecovery,
        payloads.encodeRecovery,
        [{ previousEpoch: 1, unreleased: [3, 4] }],
        described(KIND.recovery),
      ),
      codec(
        'strategy event',
        payloads.parseStrategyEvent,
        payloads.encodeStrategyEvent,
        [
          { event: 1, code: null },
          { event: 2, code: 'strategy_crashed' },
        ],
        described(KIND.strategyEvent),
      ),
    ],
  });
}
