// Plaintexts of the smaller leaf kinds (docs/PROTOCOL.md 5), as the enclave writes them; what it also reads, it parses
// here. What only readers of a log and the host need is in payloads.ts.

import { toHex } from './bytes.ts';
import { encodeMap } from './cbor.ts';
import { parseFields } from './fields.ts';
import { MAX_CAUSES, MAX_OUTPUT_BYTES, MAX_REPORT_BYTES, MAX_REPORT_FILLS } from './limits.ts';
import type { RefusalCode } from './codes.ts';
import { isEnclaveCode } from './enclave-codes.ts';
import type { Result } from './result.ts';

const MAX_EPOCH = 9_999_999_999;

export const GAP = {
  declared: 1,
  skipped: 2,
  refused: 3,
  venueSequence: 4,
  tradeSequence: 5,
} as const;

export type GapReason = (typeof GAP)[keyof typeof GAP];

export interface Gap {
  readonly reason: GapReason;
  /** Batch sequence, update id or trade id, as the reason says. */
  readonly firstMissing: number | null;
  readonly count: number | null;
  readonly instrument: number | null;
  readonly code: RefusalCode | null;
}

export function encodeGap(gap: Gap): Uint8Array {
  return encodeMap(
    [1, gap.reason],
    [2, gap.firstMissing],
    [3, gap.count],
    [4, gap.instrument],
    [5, gap.code],
  );
}

export const SIDE = { buy: 1, sell: 2 } as const;

export type Side = (typeof SIDE)[keyof typeof SIDE];

export interface Signal {
  /** Number of the signal within the strategy's stream, from 0. */
  readonly id: number;
  readonly instrument: number;
  readonly side: Side;
  /** Scaled by the instrument's quantity scale. */
  readonly quantity: number;
  /** Limit price, scaled by the instrument's price scale. */
  readonly limit: number;
  readonly ttlMs: number;
  /** Batch time of the input that caused it. */
  readonly decisionNs: bigint;
  /** Leaf indexes, ascending. */
  readonly causes: readonly number[];
}

export const MAX_TTL_MS = 86_400_000;

export function parseSignal(bytes: Uint8Array): Result<Signal> {
  return parseFields('signal', bytes, MAX_OUTPUT_BYTES, (fields) => ({
    id: fields.uint(1),
    instrument: fields.uint(2, 0xffff),
    side: fields.uint(3, SIDE.sell, SIDE.buy) as Side,
    quantity: fields.uint(4, Number.MAX_SAFE_INTEGER, 1),
    limit: fields.uint(5, Number.MAX_SAFE_INTEGER, 1),
    ttlMs: fields.uint(6, MAX_TTL_MS, 1),
    decisionNs: fields.uint64(7),
    causes: fields.uints(8, MAX_CAUSES),
  }));
}

export const STATUS = {
  accepted: 1,
  partlyFilled: 2,
  filled: 3,
  cancelled: 4,
  expired: 5,
  rejected: 6,
} as const;

export type OrderStatus = (typeof STATUS)[keyof typeof STATUS];

export interface Fill {
  /** Number of the fill within its order, from 0. */
  readonly number: number;
  readonly price: number;
  readonly quantity: number;
  /** × 10^8 of the quote currency; negative for a rebate. */
  readonly fee: number;
  readonly timeNs: bigint;
}

export type Environment = 'paper' | 'sandbox' | 'live';

export interface Report {
  /** Leaf index of the output. */
  readonly output: number;
  readonly clientOrderId: string;
  readonly status: OrderStatus;
  /** Why it was rejected; a refusal code. */
  readonly reason: RefusalCode | null;
  readonly filledQuantity: number;
  readonly fills: readonly Fill[];
  readonly environment: Environment;
  readonly timeNs: bigint;
  /** A late report: the earlier epoch whose output it is about. Absent: the log's own. */
  readonly epoch?: number;
}

const ORDER_ID_BYTES = 8;

/** `ts` and the first 8 bytes of the output's leaf hash, so that a venue's records name the leaf. */
export function clientOrderIdOf(outputHash: Uint8Array): string {
  return `ts${toHex(outputHash.subarray(0, ORDER_ID_BYTES))}`;
}

export function parseReport(bytes: Uint8Array): Result<Report> {
  return parseFields('report', bytes, MAX_REPORT_BYTES, (fields) => {
    const output = fields.uint(1);
    const clientOrderId = fields.text(2, 64);
    const status = fields.uint(3, STATUS.rejected, STATUS.accepted) as OrderStatus;
    const text = fields.take(4);
    const reason = typeof text === 'string' && isEnclaveCode(text) ? text : null;
    if (text !== null && reason === null) fields.refuse(4);
    const filledQuantity = fields.uint(5);
    const fills = fields.maps(6, MAX_REPORT_FILLS, (fill) => ({
      number: fill.uint(1),
      price: fill.uint(2, Number.MAX_SAFE_INTEGER, 1),
      quantity: fill.uint(3, Number.MAX_SAFE_INTEGER, 1),
      fee: fill.int(4),
      timeNs: fill.uint64(5),
    }));
    const environment = fields.text(7, 16);
    if (environment !== 'paper' && environment !== 'sandbox' && environment !== 'live') {
      return fields.refuse(7);
    }
    const timeNs = fields.uint64(8);
    const epoch = fields.optionalUint(9, MAX_EPOCH, 1);
    return {
      ...(epoch === undefined ? {} : { epoch }),
      output,
      clientOrderId,
      status,
      reason,
      filledQuantity,
      fills,
      environment,
      timeNs,
    };
  });
}

export interface Anchor {
  /** The document's nonce is the root of the tree of this size. */
  readonly size: number;
  readonly document: Uint8Array;
}

export function encodeAnchor(anchor: Anchor): Uint8Array {
  return encodeMap([1, anchor.size], [2, anchor.document]);
}

export interface Heartbeat {
  readonly acknowledgedSize: number;
}

export function encodeHeartbeat(heartbeat: Heartbeat): Uint8Array {
  return encodeMap([1, heartbeat.acknowledgedSize]);
}

export const CLOSE_REASON = { signal: 1, host: 2, handOver: 3 } as const;

export type CloseReason = (typeof CLOSE_REASON)[keyof typeof CLOSE_REASON];

export function encodeClose(reason: CloseReason): Uint8Array {
  return encodeMap([1, reason]);
}

export function encodeSeed(seed: Uint8Array): Uint8Array {
  return encodeMap([1, seed]);
}

export interface Recovery {
  readonly previousEpoch: number;
  /** Outputs of that epoch that were logged and, as the host says, never released. */
  readonly unreleased: readonly number[];
}

export function encodeRecovery(recovery: Recovery): Uint8Array {
  return encodeMap([1, recovery.previousEpoch], [2, recovery.unreleased]);
}

export const STRATEGY_EVENT = { started: 1, ended: 2 } as const;

export type StrategyEventType = (typeof STRATEGY_EVENT)[keyof typeof STRATEGY_EVENT];

export interface StrategyEvent {
  readonly event: StrategyEventType;
  readonly code: RefusalCode | null;
}

export function encodeStrategyEvent(event: StrategyEvent): Uint8Array {
  return encodeMap([1, event.event], [2, event.code]);
}
