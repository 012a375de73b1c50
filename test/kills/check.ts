// What must hold after any number of kills, from evidence that was kept outside of host and enclave: what
// passed the tap, compared with the log that is left and with the broker's journal. Each line that comes
// back names one thing that was promised and not kept.

import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { JournalRecord } from '../../host-proxy/execution/journal-record.ts';
import type { Appliance } from '../../scripts/appliance.ts';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Report } from '../../wire/payloads.ts';
import { STATUS } from '../../wire/payloads.ts';
import { verifyLog } from '../e2e/appliance.ts';
import {
  decisionsOf,
  expectNothingTwice,
  openOrders,
  readJournal,
  signedHeads,
} from '../e2e/evidence.ts';
import type { Tap, TappedRelease } from '../e2e/tap.ts';
import type { FinalEpoch } from './final-log.ts';
import { listFinalEpochs, readFinalEpoch } from './final-log.ts';

interface Evidence {
  readonly appliance: Appliance;
  /** Of the broker, over all epochs. */
  readonly records: readonly JournalRecord[];
  readonly tap: Tap;
  readonly epochs: readonly FinalEpoch[];
  readonly say: (finding: string) => void;
}

/** Findings, empty when every promise was kept. The last epoch has been closed. */
export async function checkPromises(appliance: Appliance, tap: Tap): Promise<readonly string[]> {
  const findings: string[] = [];
  const say = (finding: string): void => {
    findings.push(finding);
  };
  const epochs: FinalEpoch[] = [];
  for (const epoch of listFinalEpochs(appliance.logDirectory)) {
    epochs.push(await readFinalEpoch(appliance.logDirectory, epoch, appliance.complianceKey));
  }
  const evidence = { appliance, records: readJournal(appliance), tap, epochs, say };
  await checkVerdicts(evidence);
  checkReleases(evidence);
  checkAcknowledgements(evidence);
  checkOrders(evidence);
  checkEnds(evidence);
  checkRecoveries(evidence);
  return findings;
}

/** (v) and (vi): every epoch verifies, and each names the end of the one before it as it was. */
async function checkVerdicts({ appliance, epochs, say }: Evidence): Promise<void> {
  const heads = join(appliance.directory, 'lp', 'kills-heads.json');
  for (const { epoch, size, closed } of epochs.toReversed()) {
    const { code, json, stderr } = await verifyLog(appliance, { epoch, heads });
    if (code !== 0) say(`epoch ${epoch} does not verify: ${stderr} ${JSON.stringify(json)}`);
    const isLast = epoch === epochs.at(-1)?.epoch;
    const end = closed ? 'clean' : isLast ? 'open' : 'unclean';
    if (json['end'] !== end) say(`epoch ${epoch} ended ${String(json['end'])}, not ${end}`);
    if (json['size'] !== size) say(`epoch ${epoch} verifies ${String(json['size'])} of ${size}`);
    const link = (json['previous'] as { readonly link?: string } | null)?.link ?? null;
    if (link !== (epoch === 1 ? null : 'verified')) say(`epoch ${epoch} links as ${link}`);
  }
  epochs.forEach(({ epoch }, at) => {
    if (epoch !== at + 1) say(`epoch ${at + 1} is missing`);
  });
}

/** (i): what left the enclave in the clear is in the log, and was acknowledged before it left. */
function checkReleases({ tap, epochs, say }: Evidence): void {
  for (const release of tap.releases) {
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
function checkAcknowledgements({ appliance, tap, epochs, say }: Evidence): void {
  const heads = new Map(
    epochs.map(({ epoch }) => [epoch, signedHeads(appliance.logDirectory, epoch)]),
  );
  for (const { epoch, size, root } of tap.hostAcks) {
    if (heads.get(epoch)?.get(size) !== toHex(root)) say(`acknowledged ${epoch}/${size} is lost`);
  }
}

function repeated(keys: readonly string[]): readonly string[] {
  return keys.filter((key, at) => keys.indexOf(key) !== at);
}

function key(epoch: number, leaf: number): string {
  return `${epoch}/${leaf}`;
}

/** (iii): no order twice, and none without its release. */
function checkOrders({ tap, epochs, records, say }: Evidence): void {
  try {
    expectNothingTwice(records);
  } catch (error) {
    say(`the journal has something twice: ${String(error)}`);
  }
  const released = new Set(tap.releases.map(({ epoch, leafIndex }) => key(epoch, leafIndex)));
  for (const { epoch, outputs } of epochs) {
    for (const { leaf, id } of decisionsOf(records, epoch)) {
      const name = key(epoch, leaf);
      if (!released.has(name)) say(`decision on ${name}, which was never released`);
      if (outputs.get(leaf)?.clientOrderId !== id) say(`order ${id} has not the id of its leaf`);
    }
  }
  const accepted = tap.reports.filter(({ status }) => status === STATUS.accepted);
  for (const id of repeated(accepted.map(({ clientOrderId }) => clientOrderId))) {
    say(`order ${id} was accepted twice`);
  }
}

/** (iv): the journal has an end of every order, and a log has it too, with every fill. */
function checkEnds({ epochs, records, say }: Evidence): void {
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
  say: (finding: string) => void,
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

function neverReleased(releases: readonly TappedRelease[], epoch: FinalEpoch): readonly number[] {
  const released = new Set(
    releases.flatMap((release) => (release.epoch === epoch.epoch ? [release.leafIndex] : [])),
  );
  return [...epoch.outputs.keys()].filter((index) => !released.has(index));
}

/** (vi): after an unclean end, the next epoch lists what was never released, and none of it was executed. */
function checkRecoveries({ tap, epochs, records, say }: Evidence): void {
  for (const [at, epoch] of epochs.slice(0, -1).entries()) {
    const next = epochs[at + 1];
    const [recovery, ...more] = next?.recoveries ?? [];
    const missing = neverReleased(tap.releases, epoch);
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
    const decided = new Set(decisionsOf(records, epoch.epoch).map(({ leaf }) => leaf));
    for (const index of listed) {
      const name = key(epoch.epoch, index);
      if (!epoch.outputs.has(index)) say(`${name} is listed and is no output`);
      if (decided.has(index)) say(`${name} is listed as unreleased and was executed`);
    }
  }
}
