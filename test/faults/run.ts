// Runs a schedule: hosts over one disk, one fault each, and last a host that nothing happens to. Whatever
// the disk did, either all promises are kept in the end, or a host refused to start with a code that says
// so; a host that only met a fault that has passed must not refuse.

import { listJournals, readJournal } from '../../host-proxy/execution/journal.ts';
import type { JournalRecord } from '../../host-proxy/execution/journal-record.ts';
import { DiskFailure } from '../../host-proxy/files.ts';
import { EpochFiles } from '../../verifier/log/epoch-files.ts';
import { verifyLink } from '../../verifier/log/epoch-link.ts';
import type { LogSource } from '../../verifier/log/source.ts';
import { verifyEpoch } from '../../verifier/log/verify-epoch.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { accept, assertAccepted } from '../../wire/result.ts';
import { complianceKeys, testTrust } from '../helpers/epoch-builder.ts';
import { LOG_ID } from '../helpers/epoch-header.ts';
import type { LogFiles } from '../helpers/final-log.ts';
import { listFinalEpochs, readFinalEpoch } from '../helpers/final-log.ts';
import type { MemoryFiles } from '../helpers/memory-files.ts';
import { brokenPromises } from '../helpers/promises.ts';
import { randomPicks } from '../helpers/random.ts';
import type { HostEnd } from './appliance.ts';
import { SimulatedAppliance } from './appliance.ts';
import type { Damaged } from './damage.ts';
import { damage } from './damage.ts';
import type { Fault, HostSchedule, Schedule } from './schedule.ts';

/** Only to end what hangs. */
const HOST_MS = 120_000;
const LAST: HostSchedule = {
  batches: 3,
  stopAfter: null,
  enclaveFrame: null,
  fault: { kind: 'none' },
  latency: 0,
};

export interface ScheduleResult {
  readonly ends: readonly HostEnd[];
  readonly findings: readonly string[];
  /** Operations of the disk, for whoever tunes the schedules. */
  readonly operations: number;
}

export async function runSchedule(schedule: Schedule): Promise<ScheduleResult> {
  const appliance = new SimulatedAppliance(schedule.tearBytes);
  const ends: HostEnd[] = [];
  const findings: string[] = [];
  let operations = 0;
  let rotten = false;
  for (const host of [...schedule.hosts, LAST]) {
    const before = damageOf(appliance, host.fault);
    const fired = arm(appliance.disk, host.fault);
    setLatency(appliance.disk, host.latency);
    const end = await withDeadline(appliance.run(host));
    ends.push(end);
    if (before !== null) {
      if (before.damaged.unproven) return { ends, findings: [], operations };
      // Rot stays: the operator has to look at it, or it did not matter.
      if (isRefusal(end)) return { ends, findings: untouched(appliance, before), operations };
      rotten ||= before.damaged.path.startsWith(`${appliance.folders.log}/`);
    }
    operations += Number.isFinite(appliance.disk.operations) ? appliance.disk.operations : 0;
    const wrong = judge(host.fault, end, fired());
    if (wrong !== null) findings.push(`host ${ends.length}: ${wrong}`);
    appliance.disk = nextDisk(appliance.disk, host.fault, end);
    if (host.fault.kind === 'power') findings.push(...(await checkPublished(appliance)));
  }
  // What was published and rots later is for verifiers to find.
  if (findings.length === 0 && !(rotten && (await isRefusedByVerifiers(appliance)))) {
    findings.push(...(await check(appliance)));
  }
  return { ends, findings, operations };
}

interface Before {
  readonly damaged: Damaged;
  /** The state folder. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
}

function damageOf({ disk, folders }: SimulatedAppliance, fault: Fault): Before | null {
  if (fault.kind !== 'damage') return null;
  const damaged = damage(disk, [folders.state, folders.log], randomPicks(fault.seed));
  return damaged && { damaged, contents: disk.contents(folders.state) };
}

function isRefusal(end: HostEnd): boolean {
  return end.how === 'refused' || (end.how === 'failed' && end.code === 'folder_conflict');
}

/** Who refuses leaves what it refuses as it is. */
function untouched({ disk, folders }: SimulatedAppliance, before: Before): readonly string[] {
  const { state } = folders;
  const after = disk.contents(state);
  const [, own] = /^((?:spool|releases|execution)\/\d{10}\/|unreleased)/u.exec(
    before.damaged.path.slice(state.length + 1),
  ) ?? [null, '\0'];
  return [...before.contents].flatMap(([path, bytes]) => {
    if (!path.startsWith(own)) return [];
    const now = after.get(path);
    return now !== undefined && equalBytes(now, bytes) ? [] : [`${path} was changed by a refusal`];
  });
}

async function withDeadline(run: Promise<HostEnd>): Promise<HostEnd> {
  const late = Promise.withResolvers<HostEnd>();
  const timer = setTimeout(() => {
    late.resolve({ how: 'failed', code: 'never ended' });
  }, HOST_MS);
  const end = await Promise.race([run, late.promise]);
  clearTimeout(timer);
  return end;
}

function setLatency(disk: MemoryFiles, seed: number): void {
  const pick = randomPicks(seed);
  disk.beforeSync = async () => {
    for (let turns = seed === 0 ? 0 : pick(4); turns > 0; turns--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
}

/** Answers whether the fault has happened, so far. */
function arm(disk: MemoryFiles, fault: Fault): () => boolean {
  disk.crashWhen = () => false;
  disk.refuse = () => null;
  disk.onRead = (_, bytes) => bytes;
  let count = 0;
  let happened = false;
  if (fault.kind === 'power' || fault.kind === 'kill') {
    disk.crashWhen = (_, path) =>
      (fault.part === null || path.includes(`/${fault.part}`)) && count++ === fault.at;
    return () => disk.operations === Number.POSITIVE_INFINITY;
  }
  if (fault.kind === 'error') {
    disk.refuse = (operation) => {
      if (happened || count++ < fault.at || !fault.operations.includes(operation)) return null;
      happened = true;
      return 'EIO';
    };
  } else if (fault.kind === 'full') {
    disk.refuse = (operation) => {
      const needsRoom = ['create', 'write', 'mkdir', 'rename'].includes(operation);
      if (count++ < fault.at || !needsRoom || count > fault.at + fault.attempts) return null;
      happened = true;
      return 'ENOSPC';
    };
  } else if (fault.kind === 'read') {
    disk.onRead = (path, bytes) => {
      if (happened || count++ < fault.at) return bytes;
      happened = true;
      if (fault.flip === null) throw new DiskFailure('read', path, { code: 'EIO' });
      if (bytes.length === 0) return bytes;
      const bit = fault.flip % (bytes.length * 8);
      return bytes.with(bit >> 3, (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
    };
  }
  return () => happened;
}

/** What an end must not be, given what happened to the host; null when it is fine. */
function judge(fault: Fault, end: HostEnd, happened: boolean): string | null {
  const text = 'code' in end ? `${end.how} ${end.code}` : end.how;
  if (end.how === 'crashed') return happened ? null : 'crashed by itself';
  if (end.how === 'closed' || end.how === 'unclean') return null;
  if (happened && end.how === 'failed' && end.code === 'disk_failed') return null;
  if (fault.kind === 'damage' && isRefusal(end)) return null;
  // A bit that was flipped may look like damage; the next start reads it again.
  if (happened && fault.kind === 'read') return null;
  return `${text} after ${fault.kind}`;
}

function nextDisk(disk: MemoryFiles, fault: Fault, end: HostEnd): MemoryFiles {
  if (fault.kind === 'power' && end.how === 'crashed') {
    return disk.afterCrash(randomPicks(fault.survival));
  }
  const powerFails = fault.kind === 'error' && fault.survival !== null && end.how === 'failed';
  if (powerFails && fault.kind === 'error') {
    return disk.afterCrash(randomPicks(fault.survival ?? 0));
  }
  return disk.afterKill();
}

class MemorySource implements LogSource {
  readonly name: string = 'memory';
  readonly #disk: MemoryFiles;
  readonly #log: string;

  constructor(disk: MemoryFiles, log: string) {
    this.#disk = disk;
    this.#log = log;
  }

  read(path: string, maximum: number): ReturnType<LogSource['read']> {
    return Promise.resolve(accept(this.#disk.readFile(`${this.#log}/${path}`, maximum)));
  }

  list(path: string): ReturnType<LogSource['list']> {
    return Promise.resolve(accept(this.#disk.list(`${this.#log}/${path}`)));
  }
}

function logFiles(disk: MemoryFiles, log: string): LogFiles {
  return {
    read: (path) => {
      const bytes = disk.readFile(`${log}/${path}`, 1 << 30);
      if (bytes === null) throw new Error(`${path} is missing`);
      return bytes;
    },
    list: (path) => disk.list(`${log}/${path}`),
  };
}

/** A reader may come before any host does: what the newest checkpoint covers is all there. */
async function checkPublished({ disk, folders }: SimulatedAppliance): Promise<readonly string[]> {
  const source = new MemorySource(disk, folders.log);
  const epoch = Math.max(...disk.list(`${folders.log}/epochs`).map(Number));
  if (!Number.isFinite(epoch)) return [];
  const files = new EpochFiles(source, epoch);
  const keys = complianceKeys();
  const verified = await verifyEpoch(nodeCrypto, { files, trust: await testTrust(), keys });
  return verified.ok ? [] : [`published epoch ${epoch}: ${JSON.stringify(verified.refusal)}`];
}

async function check({ disk, folders, passed }: SimulatedAppliance): Promise<readonly string[]> {
  disk.onRead = (_, bytes) => bytes;
  try {
    const files = logFiles(disk, folders.log);
    const keys = complianceKeys();
    const epochs = listFinalEpochs(files).map((epoch) => readFinalEpoch(files, epoch, keys));
    const records = journalOf(disk, `${folders.state}/execution`);
    const { hostAcks, releases, reports } = passed;
    return [
      ...(await verify(new MemorySource(disk, folders.log), listFinalEpochs(files))),
      ...brokenPromises({ hostAcks, releases, reports, records, epochs }),
    ];
  } catch (error) {
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  }
}

async function isRefusedByVerifiers({ disk, folders }: SimulatedAppliance): Promise<boolean> {
  const source = new MemorySource(disk, folders.log);
  const epochs = listFinalEpochs(logFiles(disk, folders.log));
  return (await verify(source, epochs)).length > 0;
}

function journalOf(disk: MemoryFiles, directory: string): readonly JournalRecord[] {
  const records: JournalRecord[] = [];
  for (const number of listJournals(disk, directory)) {
    const reader = readJournal(disk, directory, number);
    let next = reader.next();
    for (; next.done !== true; next = reader.next()) records.push(next.value);
    assertAccepted(next.value);
  }
  return records;
}

/** (v) and (vi): every epoch verifies, and links to the one before. */
async function verify(source: LogSource, epochs: readonly number[]): Promise<readonly string[]> {
  const findings: string[] = [];
  const trust = await testTrust();
  for (const epoch of epochs) {
    const files = new EpochFiles(source, epoch);
    const verified = await verifyEpoch(nodeCrypto, { files, trust, keys: complianceKeys() });
    if (!verified.ok) findings.push(`epoch ${epoch}: ${JSON.stringify(verified.refusal)}`);
    if (!verified.ok || verified.value === null) continue;
    const { facts } = verified.value;
    const { previous } = facts.boot.header;
    if (previous === null) {
      if (epoch !== 1) findings.push(`epoch ${epoch} links to nothing`);
      continue;
    }
    const link = await verifyLink(nodeCrypto, {
      files: new EpochFiles(source, previous.epoch),
      logId: LOG_ID,
      previous,
      trust,
      unreleased: facts.unreleased,
    });
    if (!link.ok || link.value === null) {
      findings.push(`epoch ${epoch} does not link: ${JSON.stringify(link)}`);
    }
  }
  return findings;
}
