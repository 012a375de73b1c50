// What must hold after any crash, from evidence that was kept outside of host and enclave: what passed
// between them, compared with the log that is left and with the broker's journal. Each line that comes back
// names one thing that was promised and not kept. The last epoch has been closed.

import { isDeepStrictEqual } from 'node:util';
import type { JournalRecord } from '../../host-proxy/execution/journal-record.ts';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { Ack } from '../../wire/commit.ts';
import { parseOrigin } from '../../wire/header.ts';
import type { Release } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Report } from '../../wire/payloads.ts';
import { STATUS } from '../../wire/payloads.ts';
import type { FinalEpoch } from './final-log.ts';

export interface SeenRelease extends Release {
  readonly epoch: number;
  /** The largest size that the enclave had been told before. */
  readonly toldSize: number;
}

export interface Evidence {
  /** As the host sent them. */
  readonly hostAcks: readonly Ack[];
  /** As they left the enclave. */
  readonly releases: readonly SeenRelease[];
  /** As the host sent them. */
  readonly reports: readonly Report[];
  /** Of the broker, over all epochs. */
  readonly records: readonly JournalRecord[];
  readonly epochs: readonly FinalEpoch[];
}

type Say = (finding: string) => void;

export function brokenPromises(evidence: Evidence): readonly string[] {
  const findings: string[] = [];
  const say: Say = (finding) => {
    findings.push(finding);
  };
  evidence.epochs.forEach(({ epoch }, at) => {
    if (epoch !== at + 1) say(`epoch ${at + 1} is missing`);
  });
  checkReleases(evidence, say);
  checkAcknowledgements(evidence, say);
  checkOrders(evidence, say);
  checkEnds(evidence, say);
  checkRecoveries(evidence, say);
  return findings;
}

type Decision = Extract<JournalRecord, { type: 'decision' }>;

function decisionsOf(records: readonly JournalRecord[]): readonly Decision[] {
  return records.filter((record) => record.type === 'decision');
}

function epochOf(origin: string): number {
  return parseOrigin(origin)?.epoch ?? 0;
}

/** (i): what left the enclave in the clear is in the log, and was acknowledged before it left. */
function checkReleases({ releases, epochs }: Evidence, say: Say): void {
  for (const release of releases) {
    const output = epochs[release.epoch - 1]?.outputs.get(release.leafIndex);
    const name = `${release.epoch}/${release.leafIndex}`;
    const digest = nodeCrypto.sha256(release.salt, release.plaintext);
    if (output === undefined) say(`released output ${name} is not in the log`);
    else if (!equalBytes(output.digest, digest)) say(`output ${name} was released otherwise`);
    if (release.toldSize <= release.leafIndex)
      say(`output ${name} left before its acknowledgement`);
  }
}

/** (ii): every head that the host has acknowledged is a signed head of the log. */
function checkAcknowledgements({ hostAcks, epochs }: Evidence, say: Say): void {
  for (const { epoch, size, root } of hostAcks) {
    const kept = epochs[epoch - 1]?.heads.get(size);
    if (kept !== toHex(root)) say(`acknowledged ${epoch}/${size} is lost`);
  }
}

function repeated(keys: readonly string[]): readonly string[] {
  return keys.filter((key, at) => keys.indexOf(key) !== at);
}

function key(epoch: number, leaf: number): string {
  return `${epoch}/${leaf}`;
}

/** (iii): no order, fill or end twice, no order without its release. */
function checkOrders({ releases, reports, epochs, records }: Evidence, say: Say): void {
  const decisions = decisionsOf(records);
  const keysOf = (type: 'fill' | 'end'): readonly string[] =>
    records.flatMap((record) => {
      if (record.type !== type) return [];
      return [record.type === 'fill' ? `${record.id} ${record.number}` : record.id];
    });
  for (const [what, keys] of [
    ['decision', decisions.map(({ origin, leaf }) => `${origin} ${leaf}`)],
    ['order', decisions.map(({ id }) => id)],
    ['fill', keysOf('fill')],
    ['end', keysOf('end')],
  ] as const) {
    for (const twice of repeated(keys)) say(`${what} ${twice} is in the journal twice`);
  }
  const released = new Set(releases.map(({ epoch, leafIndex }) => key(epoch, leafIndex)));
  for (const { origin, leaf, id } of decisions) {
    const name = key(epochOf(origin), leaf);
    if (!released.has(name)) say(`decision on ${name}, which was never released`);
    const output = epochs[epochOf(origin) - 1]?.outputs.get(leaf);
    if (output?.clientOrderId !== id) say(`order ${id} has not the id of its leaf`);
  }
  const accepted = reports.filter(({ status }) => status === STATUS.accepted);
  for (const id of repeated(accepted.map(({ clientOrderId }) => clientOrderId))) {
    say(`order ${id} was accepted twice`);
  }
}

function openOrders(records: readonly JournalRecord[]): readonly string[] {
  const ended = new Set(records.flatMap((record) => (record.type === 'end' ? [record.id] : [])));
  return decisionsOf(records)
    .filter(({ id, refused }) => refused === null && !ended.has(id))
    .map(({ id }) => id);
}

/** (iv): the journal has an end of every order, and a log has it too, with every fill. */
function checkEnds({ epochs, records }: Evidence, say: Say): void {
  for (const id of openOrders(records)) say(`order ${id} is still open`);
  const ended = new Map(
    records.flatMap((record) => (record.type === 'end' ? [[record.id, record.status]] : [])),
  );
  for (const [at, { epoch, outputs, reports }] of epochs.entries()) {
    const own = reports.filter((report) => report.epoch === undefined);
    const late = epochs.flatMap((later) => later.reports.filter((each) => each.epoch === epoch));
    const unreleased = new Set(epochs[at + 1]?.recoveries[0]?.unreleased);
    for (const [leaf, { clientOrderId: id }] of outputs) {
      const about = [...own, ...late].filter(({ output }) => output === leaf);
      const last = about.findLast(({ status }) => status >= STATUS.filled);
      const name = key(epoch, leaf);
      if (unreleased.has(leaf)) {
        if (about.length > 0) say(`${name} is listed as unreleased and was reported on`);
        continue;
      }
      if (last === undefined) say(`no log has the end of ${name}`);
      else checkFills(name, id, about, last, records, say);
      const status = ended.get(id);
      if (status !== undefined && status !== last?.status) say(`${name} ended as ${status}`);
    }
  }
}

/** Each fill of the journal is in a log, the same each time, and they add up to what the end says. */
function checkFills(
  name: string,
  id: string,
  about: readonly Report[],
  last: Report,
  records: readonly JournalRecord[],
  say: Say,
): void {
  const told = new Map<number, Report['fills'][number]>();
  for (const fill of about.flatMap(({ fills }) => fills)) {
    const before = told.get(fill.number);
    if (before !== undefined && !isDeepStrictEqual(before, fill)) say(`two fills ${fill.number}`);
    told.set(fill.number, fill);
  }
  const sum = [...told.values()].reduce((total, { quantity }) => total + quantity, 0);
  if (sum !== last.filledQuantity) say(`${name}: fills of ${sum}, not ${last.filledQuantity}`);
  const journaled = records.filter((record) => record.type === 'fill' && record.id === id).length;
  if (journaled !== told.size) say(`${name}: ${told.size} of ${journaled} fills are in a log`);
}

function neverReleased(releases: readonly SeenRelease[], epoch: FinalEpoch): readonly number[] {
  const released = new Set(
    releases.flatMap((release) => (release.epoch === epoch.epoch ? [release.leafIndex] : [])),
  );
  return [...epoch.outputs.keys()].filter((index) => !released.has(index));
}

/** (vi): after an unclean end, the next epoch lists what was never released, and none of it was executed. */
function checkRecoveries({ releases, epochs, records }: Evidence, say: Say): void {
  for (const [at, epoch] of epochs.slice(0, -1).entries()) {
    const next = epochs[at + 1];
    const [recovery, ...more] = next?.recoveries ?? [];
    const missing = neverReleased(releases, epoch);
    if (more.length > 0) say(`epoch ${epoch.epoch + 1} has several recovery leaves`);
    if (recovery === undefined) {
      if (!epoch.closed || missing.length > 0) {
        say(`epoch ${epoch.epoch + 1} has no recovery leaf for ${missing.length} outputs`);
      }
      continue;
    }
    if (recovery.previousEpoch !== epoch.epoch) say(`recovery of ${recovery.previousEpoch}`);
    const listed = new Set(recovery.unreleased);
    for (const index of missing) {
      if (!listed.has(index)) say(`${key(epoch.epoch, index)} was never released, nor listed`);
    }
    const decided = new Set(
      decisionsOf(records).flatMap(({ origin, leaf }) =>
        epochOf(origin) === epoch.epoch ? [leaf] : [],
      ),
    );
    for (const index of listed) {
      const name = key(epoch.epoch, index);
      if (!epoch.outputs.has(index)) say(`${name} is listed and is no output`);
      if (decided.has(index)) say(`${name} is listed as unreleased and was executed`);
    }
  }
}
