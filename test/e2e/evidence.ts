// What tests read from a log folder and from the host's execution journal, to compare what was promised
// with what was kept.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { listJournals, readJournal as readOne } from '../../host-proxy/execution/journal.ts';
import type { JournalRecord } from '../../host-proxy/execution/journal-record.ts';
import { nodeFiles } from '../../host-proxy/files.ts';
import type { Appliance } from '../../scripts/appliance.ts';
import { toHex } from '../../wire/bytes.ts';
import type { Ack } from '../../wire/commit.ts';
import { originOf, parseOrigin } from '../../wire/header.ts';
import { assertAccepted } from '../../wire/result.ts';
import { parseCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { stateOf } from './appliance.ts';
import { trackseal } from './processes.ts';
import type { Json } from './processes.ts';

export const LOG_ID = 'trackseal.local/demo';

export interface ListedLeaf {
  readonly index: number;
  readonly kind: string;
  readonly stream: number;
  readonly causes: readonly number[];
  readonly payload: Json;
}

/** All leaves of an epoch, opened with compliance's key. */
export async function listLeaves(
  { logDirectory, complianceKey }: Appliance,
  epoch: number,
): Promise<readonly ListedLeaf[]> {
  const args = ['--epoch', String(epoch), '--key', complianceKey, '--json'];
  const { code, stdout, stderr } = await trackseal(['log', 'list', logDirectory, ...args]);
  expect(code, stderr).toBe(0);
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ListedLeaf);
}

export function indexesOf(leaves: readonly ListedLeaf[], kind: string): readonly number[] {
  return leaves.filter((leaf) => leaf.kind === kind).map(({ index }) => index);
}

/** Roots by size, of every signed note in an epoch's commits/. */
export function signedHeads(logDirectory: string, epoch: number): ReadonlyMap<number, string> {
  const folder = join(logDirectory, 'epochs', String(epoch).padStart(10, '0'), 'commits');
  const heads = new Map<number, string>();
  for (const name of readdirSync(folder)) {
    const bytes = readFileSync(join(folder, name));
    for (let at = 0; at < bytes.length; at += 4 + bytes.readUInt32BE(at)) {
      const note = bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at)).toString('utf8');
      const { size, root } = assertAccepted(
        parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1)),
      );
      heads.set(size, toHex(root));
    }
  }
  return heads;
}

/** Every head that the host has acknowledged is a signed head of the folder. */
export function expectKept(logDirectory: string, acks: readonly Ack[]): void {
  const folders = new Map<number, ReadonlyMap<number, string>>();
  for (const { epoch, size, root } of acks) {
    const heads = folders.get(epoch) ?? signedHeads(logDirectory, epoch);
    folders.set(epoch, heads);
    expect(heads.get(size), `epoch ${epoch}, size ${size}`).toBe(toHex(root));
  }
}

/** Of all epochs: the appliance's host keeps its journals. */
export function readJournal(appliance: Appliance): readonly JournalRecord[] {
  const directory = join(stateOf(appliance), 'execution');
  const records: JournalRecord[] = [];
  for (const number of listJournals(nodeFiles, directory)) {
    const reader = readOne(nodeFiles, directory, number);
    let next = reader.next();
    for (; next.done !== true; next = reader.next()) records.push(next.value);
    assertAccepted(next.value);
  }
  return records;
}

/** `epoch/leaf` of outputs that were released and on which a host that was killed had not decided. */
export function missedOutputs(records: readonly JournalRecord[]): ReadonlySet<string> {
  const missed = new Set<string>();
  for (const record of records) {
    if (record.type !== 'state') continue;
    for (const { decision } of record.untold) {
      if (decision.type !== 'missed') continue;
      missed.add(`${parseOrigin(decision.origin)?.epoch ?? 0}/${decision.leaf}`);
    }
  }
  return missed;
}

type Decision = Extract<JournalRecord, { type: 'decision' }>;

export function decisionsOf(
  records: readonly JournalRecord[],
  epoch?: number,
): readonly Decision[] {
  return records.flatMap((record) =>
    record.type === 'decision' && (epoch === undefined || record.origin === originOf(LOG_ID, epoch))
      ? [record]
      : [],
  );
}

function expectUnique(what: string, keys: readonly string[]): void {
  const repeated = keys.filter((key, at) => keys.indexOf(key) !== at);
  expect(repeated, what).toEqual([]);
}

/** One decision for each output, one end for each order, no fill twice, none beyond its order. */
export function expectNothingTwice(records: readonly JournalRecord[]): void {
  const decisions = decisionsOf(records);
  expectUnique(
    'decisions',
    decisions.map(({ origin, leaf }) => `${origin} ${leaf}`),
  );
  expectUnique(
    'orders',
    decisions.map(({ id }) => id),
  );
  const fills = records.filter((record) => record.type === 'fill');
  const ends = records.filter((record) => record.type === 'end');
  expectUnique(
    'fills',
    fills.map(({ id, number }) => `${id} ${number}`),
  );
  expectUnique(
    'ends',
    ends.map(({ id }) => id),
  );
  const accepted = new Map(
    decisions.filter(({ refused }) => refused === null).map((order) => [order.id, order.quantity]),
  );
  for (const { id } of [...fills, ...ends]) expect(accepted.has(id), id).toBe(true);
  for (const [id, quantity] of accepted) {
    const filled = fills.reduce((sum, fill) => (fill.id === id ? sum + fill.quantity : sum), 0);
    expect(filled, id).toBeLessThanOrEqual(quantity);
  }
}

/** Accepted orders without an end. */
export function openOrders(records: readonly JournalRecord[]): readonly string[] {
  const ended = new Set(records.flatMap((record) => (record.type === 'end' ? [record.id] : [])));
  return decisionsOf(records)
    .filter(({ id, refused }) => refused === null && !ended.has(id))
    .map(({ id }) => id);
}

/**
 * Reports agree with the journal: an order is accepted once, and only fills of the journal are told, once
 * in their own epoch and again when they are late.
 */
export function expectReportsAgree(
  leaves: readonly ListedLeaf[],
  records: readonly JournalRecord[],
): void {
  const reports = leaves.filter(({ kind }) => kind === 'report');
  const late: string[] = [];
  const known = new Set(indexesOf(leaves, 'output'));
  const fills = new Set(
    records.flatMap((record) => (record.type === 'fill' ? [`${record.id} ${record.number}`] : [])),
  );
  const told: string[] = [];
  const accepted: string[] = [];
  for (const { causes, payload } of reports) {
    const id = String(payload['client_order_id']);
    if (payload['epoch'] !== undefined) {
      expect(causes, id).toEqual([]);
      late.push(
        ...(payload['fills'] as readonly { number: number }[]).map(
          (fill) => `${id} ${fill.number}`,
        ),
      );
      continue;
    }
    expect(known.has(causes[0] ?? -1), id).toBe(true);
    if (payload['status'] === 'accepted') accepted.push(id);
    for (const { number } of payload['fills'] as readonly { number: number }[]) {
      told.push(`${id} ${number}`);
    }
  }
  expectUnique('accepted', accepted);
  expectUnique('fills told', told);
  expect([...told, ...late].filter((fill) => !fills.has(fill))).toEqual([]);
}
