// Plaintexts of the smaller leaf kinds (docs/PROTOCOL.md 5). Each parser refuses unknown fields and
// values out of range; relations between leaves are checked where the log is known.

import { cborMap, encodeMap } from './cbor.ts';
import { parseFields } from './fields.ts';
import { MAX_DOCUMENT_BYTES, MAX_LEAF_BYTES } from './limits.ts';
import { isEnclaveCode } from './enclave-codes.ts';
import type { Result } from './result.ts';
import type {
  GapReason,
  Gap,
  Report,
  Anchor,
  Heartbeat,
  CloseReason,
  Recovery,
  StrategyEventType,
  Signal,
  StrategyEvent,
} from './enclave-payloads.ts';
import { GAP, CLOSE_REASON, STRATEGY_EVENT } from './enclave-payloads.ts';

export * from './enclave-payloads.ts';

const MAX_SMALL_BYTES = 1024;

const MAX_RECOVERED_OUTPUTS = 4096;

const MAX_EPOCH = 9_999_999_999;

export function parseGap(bytes: Uint8Array): Result<Gap> {
  return parseFields('gap', bytes, MAX_SMALL_BYTES, (fields) => {
    const reason = fields.uint(1, GAP.tradeSequence, GAP.declared) as GapReason;
    const firstMissing = fields.uintOrNull(2);
    const count = fields.uintOrNull(3);
    const instrument = fields.uintOrNull(4, 0xffff);
    const text = fields.take(5);
    if (text === null) return { reason, firstMissing, count, instrument, code: null };
    if (typeof text !== 'string' || !isEnclaveCode(text)) return fields.refuse(5);
    return { reason, firstMissing, count, instrument, code: text };
  });
}

export function encodeReport(report: Report): Uint8Array {
  return encodeMap(
    [1, report.output],
    [2, report.clientOrderId],
    [3, report.status],
    [4, report.reason],
    [5, report.filledQuantity],
    [
      6,
      report.fills.map((fill) =>
        cborMap(
          [1, fill.number],
          [2, fill.price],
          [3, fill.quantity],
          [4, fill.fee],
          [5, fill.timeNs],
        ),
      ),
    ],
    [7, report.environment],
    [8, report.timeNs],
    ...(report.epoch === undefined ? [] : [[9, report.epoch] as const]),
  );
}

export function parseAnchor(bytes: Uint8Array): Result<Anchor> {
  return parseFields('anchor', bytes, MAX_LEAF_BYTES, (fields) => ({
    size: fields.uint(1, Number.MAX_SAFE_INTEGER, 1),
    document: fields.bytes(2, 1, MAX_DOCUMENT_BYTES + 64),
  }));
}

export function parseHeartbeat(bytes: Uint8Array): Result<Heartbeat> {
  return parseFields('heartbeat', bytes, MAX_SMALL_BYTES, (fields) => ({
    acknowledgedSize: fields.uint(1),
  }));
}

export function parseClose(bytes: Uint8Array): Result<CloseReason> {
  return parseFields('close', bytes, MAX_SMALL_BYTES, (fields) => {
    return fields.uint(1, CLOSE_REASON.handOver, CLOSE_REASON.signal) as CloseReason;
  });
}

export function parseSeed(bytes: Uint8Array): Result<Uint8Array> {
  return parseFields('seed', bytes, MAX_SMALL_BYTES, (fields) => fields.bytes(1, SEED_BYTES));
}

export function parseRecovery(bytes: Uint8Array): Result<Recovery> {
  return parseFields('recovery', bytes, MAX_LEAF_BYTES, (fields) => ({
    previousEpoch: fields.uint(1, MAX_EPOCH, 1),
    unreleased: fields.uints(2, MAX_RECOVERED_OUTPUTS),
  }));
}

export function parseStrategyEvent(bytes: Uint8Array): Result<StrategyEvent> {
  return parseFields('strategy_event', bytes, MAX_SMALL_BYTES, (fields) => {
    const event = fields.uint(1, STRATEGY_EVENT.ended, STRATEGY_EVENT.started) as StrategyEventType;
    const text = fields.take(2);
    if (text === null) return { event, code: null };
    if (typeof text !== 'string' || !isEnclaveCode(text)) return fields.refuse(2);
    return { event, code: text };
  });
}

export function encodeSignal(signal: Signal): Uint8Array {
  return encodeMap(
    [1, signal.id],
    [2, signal.instrument],
    [3, signal.side],
    [4, signal.quantity],
    [5, signal.limit],
    [6, signal.ttlMs],
    [7, signal.decisionNs],
    [8, signal.causes],
  );
}

export const SEED_BYTES = 32;
