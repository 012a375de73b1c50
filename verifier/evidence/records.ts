// The leaves of an evidence file for people and spreadsheets: one line each in JSON Lines, and in CSV one
// line each, or one for each fill of a report. Made from verified leaves only, always the same for the same
// leaves, so that whoever checks the file makes them again and compares.

import { toHex } from '../../wire/bytes.ts';
import type { Configuration, Instrument } from '../../wire/configuration.ts';
import type { Leaf } from '../../wire/leaf.ts';
import { KIND, LABEL } from '../../wire/leaf.ts';
import type { Fill, Report, Signal } from '../../wire/payloads.ts';
import { STATUS, SIDE, clientOrderIdOf, parseReport, parseSignal } from '../../wire/payloads.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { nameOf } from '../log/names.ts';
import type { Payload } from '../log/payload.ts';
import { decimalOf, describePayload, isoOfNs } from '../log/payload.ts';
import type { WithheldReason } from './manifest.ts';

export type RecordEntry =
  | {
      readonly index: number;
      readonly hash: Uint8Array;
      readonly leaf: Leaf;
      /** Null for a private leaf whose key is not there. */
      readonly plaintext: Uint8Array | null;
    }
  | { readonly index: number; readonly hash: Uint8Array; readonly withheld: WithheldReason };

export interface Records {
  readonly csv: string;
  readonly jsonLines: string;
  /** `index,leaf_hash,why`, one line for each withheld leaf. */
  readonly withheld: string;
}

const COLUMNS = [
  'index',
  'time',
  'kind',
  'state',
  'stream',
  'label',
  'sequence',
  'leaf_hash',
  'order',
  'venue',
  'instrument',
  'side',
  'quantity',
  'limit',
  'ttl_ms',
  'decision_time',
  'about_leaf',
  'status',
  'reason',
  'filled_quantity',
  'fill_number',
  'fill_price',
  'fill_quantity',
  'fill_fee',
  'fill_time',
  'environment',
  'broker_time',
] as const;
type Row = Partial<Readonly<Record<(typeof COLUMNS)[number], string>>>;

/**
 * RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe before it: the client order
 * id and the like are the host's words.
 */
export function csvCell(text: string): string {
  const isNumber = /^-?\d+(?:\.\d+)?$/u.test(text);
  const safe = !isNumber && /^[=+\-@\t\r\n|%]/u.test(text) ? `'${text}` : text;
  return /[",\r\n]/u.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csvLine(cells: readonly string[]): string {
  return `${cells.map(csvCell).join(',')}\r\n`;
}

/** Refuses what does not parse as its kind. */
export function makeRecords(
  entries: readonly RecordEntry[],
  configuration: Configuration,
): Result<Records> {
  const lines: string[] = [];
  const rows: string[] = [csvLine(COLUMNS)];
  const withheld: string[] = [csvLine(['index', 'leaf_hash', 'why'])];
  /** Signals in this file, by leaf: reports do not name their instrument. */
  const signals = new Map<number, Signal>();
  for (const entry of entries) {
    const { index } = entry;
    const hash = toHex(entry.hash);
    if ('withheld' in entry) {
      lines.push(`${JSON.stringify({ index, leaf_hash: hash, withheld: entry.withheld })}\n`);
      withheld.push(csvLine([String(index), hash, entry.withheld]));
      rows.push(rowLine({ index: String(index), state: 'withheld', leaf_hash: hash }));
      continue;
    }
    const { leaf, plaintext } = entry;
    const payload =
      plaintext === null ? accept(null) : describePayload(leaf.kind, plaintext, configuration);
    if (!payload.ok) return refuse(payload.refusal.code, { index, ...payload.refusal.detail });
    lines.push(jsonLine(entry, payload.value));
    for (const row of rowsOf(entry, signals, configuration)) rows.push(rowLine(row));
  }
  return accept({ csv: rows.join(''), jsonLines: lines.join(''), withheld: withheld.join('') });
}

type Shown = Extract<RecordEntry, { readonly leaf: Leaf }>;

function jsonLine({ index, hash, leaf }: Shown, payload: Payload | null): string {
  const { kind, timeNs, stream, label, sequence, causes } = leaf;
  const line = {
    index,
    kind: nameOf(KIND, kind),
    time: isoOfNs(timeNs),
    time_ns: String(timeNs),
    stream,
    label: nameOf(LABEL, label),
    sequence,
    causes,
    leaf_hash: toHex(hash),
    ...(kind === KIND.output ? { client_order_id: clientOrderIdOf(hash) } : {}),
    payload,
  };
  return `${JSON.stringify(line)}\n`;
}

function rowLine(row: Row): string {
  return csvLine(COLUMNS.map((column) => row[column] ?? ''));
}

function rowsOf(
  { index, hash, leaf, plaintext }: Shown,
  signals: Map<number, Signal>,
  configuration: Configuration,
): readonly Row[] {
  const { kind, timeNs, stream, label, sequence } = leaf;
  const row: Row = {
    index: String(index),
    time: isoOfNs(timeNs),
    kind: nameOf(KIND, kind),
    state: plaintext === null ? 'closed' : 'shown',
    stream: String(stream),
    label: nameOf(LABEL, label),
    sequence: String(sequence),
    leaf_hash: toHex(hash),
    ...(kind === KIND.output ? { order: clientOrderIdOf(hash) } : {}),
  };
  if (plaintext === null) return [row];
  const instrumentOf = (id: number | undefined): Instrument | undefined =>
    configuration.instruments.find((instrument) => instrument.id === id);
  if (kind === KIND.output) {
    const signal = parseSignal(plaintext);
    if (!signal.ok) return [row];
    signals.set(index, signal.value);
    return [{ ...row, ...signalCells(signal.value, instrumentOf(signal.value.instrument)) }];
  }
  const report = kind === KIND.report ? parseReport(plaintext) : null;
  if (report?.ok !== true) return [row];
  const { output, epoch } = report.value;
  const signal = epoch === undefined ? signals.get(output) : undefined;
  return reportRows(row, report.value, instrumentOf(signal?.instrument));
}

function signalCells(signal: Signal, instrument: Instrument | undefined): Row {
  const { price_scale: priceScale = 0, quantity_scale: quantityScale = 0 } = instrument ?? {};
  return {
    venue: instrument?.venue ?? '',
    instrument: instrument?.symbol ?? String(signal.instrument),
    side: nameOf(SIDE, signal.side),
    quantity: decimalOf(signal.quantity, quantityScale),
    limit: decimalOf(signal.limit, priceScale),
    ttl_ms: String(signal.ttlMs),
    decision_time: isoOfNs(signal.decisionNs),
  };
}

/** Where the signal is not in the file, scales are unknown: then `4711 (scaled)`. */
function amount(value: number, scale: number | undefined): string {
  return scale === undefined ? `${value} (scaled)` : decimalOf(value, scale);
}

function reportRows(base: Row, report: Report, instrument: Instrument | undefined): readonly Row[] {
  const { price_scale: priceScale, quantity_scale: quantityScale } = instrument ?? {};
  const row: Row = {
    ...base,
    order: report.clientOrderId,
    venue: instrument?.venue ?? '',
    instrument: instrument?.symbol ?? '',
    about_leaf:
      report.epoch === undefined ? String(report.output) : `${report.output} of ${report.epoch}`,
    status: nameOf(STATUS, report.status),
    reason: report.reason ?? '',
    filled_quantity: amount(report.filledQuantity, quantityScale),
    environment: report.environment,
    broker_time: isoOfNs(report.timeNs),
  };
  if (report.fills.length === 0) return [row];
  return report.fills.map((fill: Fill) => ({
    ...row,
    fill_number: String(fill.number),
    fill_price: amount(fill.price, priceScale),
    fill_quantity: amount(fill.quantity, quantityScale),
    fill_fee: decimalOf(fill.fee, 8),
    fill_time: isoOfNs(fill.timeNs),
  }));
}
