// What a leaf says, for people and for JSON: signals and reports with prices as decimals of their
// instrument, the rest as they are. Only for plaintexts whose digest was checked.

import { parseHandOver } from '../../wire/kms-messages.ts';
import { parseBatch } from '../../wire/batch.ts';
import type { AuditEntry } from '../../wire/audit.ts';
import { AUDIT_EVENT } from '../../wire/audit.ts';
import { parseAuditEntry } from '../../wire/parse-audit.ts';
import { toHex } from '../../wire/bytes.ts';
import type { Configuration, Instrument } from '../../wire/configuration.ts';
import type { ExchangePoll } from '../../wire/exchange-call.ts';
import { OUTCOME, TRIGGER } from '../../wire/exchange-call.ts';
import { parseExchangePoll } from '../../wire/parse-exchange-call.ts';
import type { Kind } from '../../wire/leaf.ts';
import { KIND } from '../../wire/leaf.ts';
import type { Report, Signal } from '../../wire/payloads.ts';
import {
  GAP,
  SIDE,
  STATUS,
  STRATEGY_EVENT,
  parseAnchor,
  CLOSE_REASON,
  parseClose,
  parseGap,
  parseHeartbeat,
  parseRecovery,
  parseReport,
  parseSignal,
  parseStrategyEvent,
} from '../../wire/payloads.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import { parseResultStatement } from '../../wire/result-statement.ts';
import { nameOf } from './names.ts';

export type PayloadValue = string | number | boolean | null | readonly PayloadValue[] | Payload;
export interface Payload {
  readonly [field: string]: PayloadValue;
}

/** `value` × 10^-scale as a decimal number, exactly. */
export function decimalOf(value: number, scale: number): string {
  const digits = String(Math.abs(value)).padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const sign = value < 0 ? '-' : '';
  return scale === 0 ? `${sign}${whole}` : `${sign}${whole}.${digits.slice(-scale)}`;
}

export function isoOfNs(ns: bigint): string {
  const fraction = String(ns % 1_000_000_000n).padStart(9, '0');
  return `${new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19)}.${fraction}Z`;
}

function map<T>(result: Result<T>, describe: (value: T) => Payload): Result<Payload> {
  return result.ok ? accept(describe(result.value)) : result;
}

/** Refuses what does not parse as its kind. */
export function describePayload(
  kind: Kind,
  plaintext: Uint8Array,
  configuration: Configuration,
): Result<Payload> {
  const { instruments } = configuration;
  const instrumentOf = (id: number | null): Instrument | undefined =>
    instruments.find((instrument) => instrument.id === id);
  switch (kind) {
    case KIND.output:
      return map(parseSignal(plaintext), (signal) =>
        describeSignal(signal, instrumentOf(signal.instrument)),
      );
    case KIND.report:
      return map(parseReport(plaintext), (report) => describeReport(report));
    case KIND.input:
      return map(parseBatch(plaintext), ({ stream, sequence, timeNs, rows, groups }) => ({
        stream,
        batch_sequence: sequence,
        batch_time: isoOfNs(timeNs),
        rows,
        groups,
      }));
    case KIND.gap:
      return map(parseGap(plaintext), ({ reason, firstMissing, count, instrument, code }) => ({
        reason: nameOf(GAP, reason),
        first_missing: firstMissing,
        count,
        instrument: instrumentOf(instrument)?.symbol ?? instrument,
        code,
      }));
    case KIND.anchor:
      return map(parseAnchor(plaintext), ({ size, document }) => ({
        size,
        document_bytes: document.length,
      }));
    case KIND.heartbeat:
      return map(parseHeartbeat(plaintext), ({ acknowledgedSize }) => ({
        acknowledged_size: acknowledgedSize,
      }));
    case KIND.close:
      return map(parseClose(plaintext), (reason) => ({ reason: nameOf(CLOSE_REASON, reason) }));
    case KIND.handOver:
      return map(parseHandOver(plaintext), ({ pcrs: [pcr0, pcr1, pcr2], note }) => ({
        pcr0: toHex(pcr0 ?? new Uint8Array()),
        pcr1: toHex(pcr1 ?? new Uint8Array()),
        pcr2: toHex(pcr2 ?? new Uint8Array()),
        note,
      }));
    case KIND.recovery:
      return map(parseRecovery(plaintext), ({ previousEpoch, unreleased }) => ({
        previous_epoch: previousEpoch,
        unreleased,
      }));
    case KIND.strategyEvent:
      return map(parseStrategyEvent(plaintext), ({ event, code }) => ({
        event: nameOf(STRATEGY_EVENT, event),
        code,
      }));
    case KIND.header:
    case KIND.attestation:
    case KIND.exchangeCall:
    case KIND.result:
    case KIND.audit: {
      const described = describeOfDesk(kind, plaintext);
      if (described !== null) return accept(described);
      break;
    }
    case KIND.seed:
      break;
  }
  return accept({ bytes: plaintext.length, hex: toHex(plaintext.subarray(0, 64)) });
}

/** The word of the desk; null when it does not keep to its layouts, which the core does not look at. */
function describeOfDesk(kind: Kind, plaintext: Uint8Array): Payload | null {
  if (kind === KIND.exchangeCall) {
    const poll = parseExchangePoll(plaintext);
    return poll.ok ? describePoll(poll.value) : null;
  }
  if (kind === KIND.audit) {
    const entry = parseAuditEntry(plaintext);
    return entry.ok ? describeAudit(entry.value) : null;
  }
  const statement = parseResultStatement(plaintext);
  if (!statement.ok) return null;
  const { venue, environment, accountCommitment } = statement.value;
  return { venue, environment, account: toHex(accountCommitment), bytes: plaintext.length };
}

function describePoll(poll: ExchangePoll): Payload {
  return {
    venue: poll.venue,
    environment: poll.environment,
    account: toHex(poll.accountCommitment),
    outcome: nameOf(OUTCOME, poll.outcome),
    trigger: nameOf(TRIGGER, poll.trigger),
    scheduled: isoOfNs(poll.scheduledNs),
    code: poll.refusal,
    calls: poll.calls.length,
  };
}

/** Written, forgotten or brought back: one that comes back with a lower number than it had was rolled back. */
function describeRecord(mark: Uint8Array): Payload {
  return { id: toHex(mark.subarray(0, 16)), number: Number(`0x${toHex(mark.subarray(16))}`) };
}

function describeAudit(entry: AuditEntry): Payload {
  return {
    event: nameOf(AUDIT_EVENT, entry.event),
    session: entry.sessionHash === null ? null : toHex(entry.sessionHash),
    account: entry.accountCommitment === null ? null : toHex(entry.accountCommitment),
    code: entry.code,
    counter: entry.counter,
    records: entry.records?.map(describeRecord) ?? null,
  };
}

function describeSignal(signal: Signal, instrument: Instrument | undefined): Payload {
  const { price_scale: priceScale = 0, quantity_scale: quantityScale = 0 } = instrument ?? {};
  return {
    id: signal.id,
    instrument: instrument?.symbol ?? signal.instrument,
    venue: instrument?.venue ?? null,
    side: nameOf(SIDE, signal.side),
    quantity: decimalOf(signal.quantity, quantityScale),
    limit: decimalOf(signal.limit, priceScale),
    ttl_ms: signal.ttlMs,
    decision_time: isoOfNs(signal.decisionNs),
    causes: signal.causes,
  };
}

/** A report does not name its instrument: quantities and prices stay scaled as the signal's. */
function describeReport(report: Report): Payload {
  return {
    ...(report.epoch === undefined ? {} : { epoch: report.epoch }),
    output: report.output,
    client_order_id: report.clientOrderId,
    status: nameOf(STATUS, report.status),
    reason: report.reason,
    filled_quantity_scaled: report.filledQuantity,
    fills: report.fills.map(({ number, price, quantity, fee, timeNs }) => ({
      number,
      price_scaled: price,
      quantity_scaled: quantity,
      fee: decimalOf(fee, 8),
      time: isoOfNs(timeNs),
    })),
    environment: report.environment,
    broker_time: isoOfNs(report.timeNs),
  };
}
