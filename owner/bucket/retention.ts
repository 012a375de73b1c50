// What is in the bucket and until when it is locked: every version of every key, by part of the log. One HEAD per
// version, because a list does not tell locks.

import { isObjectKey } from '../../wire/host-keys.ts';
import type { ObjectLock, ObjectStore, ObjectVersion } from '../../wire/node/objects/store.ts';
import type { Finding, FindingCode } from './findings.ts';
import { finding } from './findings.ts';
import { forEachOf } from './pool.ts';

export interface PartReport {
  /** `epochs/0000000001/`, `blobs/`, `index/`, or '' for keys that no log has. */
  readonly part: string;
  /** Keys. */
  objects: number;
  /** Of all versions. */
  bytes: number;
  /** Earliest and latest end of retention; null where nothing is locked. */
  earliest: Date | null;
  latest: Date | null;
  unlocked: number;
  governance: number;
  /** Locked once, and over. */
  over: number;
  holds: number;
  laterVersions: number;
  deleteMarkers: number;
}

const PART = /^(?:epochs\/\d{10}|blobs|index)\//u;
const MS_PER_DAY: number = 24 * 3600 * 1000;

function partOf(key: string): string {
  return isObjectKey(key) ? (PART.exec(key)?.[0] ?? '') : '';
}

function emptyReport(part: string): PartReport {
  return {
    part,
    objects: 0,
    bytes: 0,
    earliest: null,
    latest: null,
    unlocked: 0,
    governance: 0,
    over: 0,
    holds: 0,
    laterVersions: 0,
    deleteMarkers: 0,
  };
}

export interface SurveyOptions {
  /** Null where no number of days was asked for. */
  readonly retentionDays: number | null;
  readonly now: Date;
  /** Called for each version. */
  readonly onVersion: () => void;
}

interface Tally {
  readonly first: string;
  count: number;
}

class Survey {
  readonly parts = new Map<string, PartReport>();
  readonly #found = new Map<FindingCode, Tally>();
  readonly #options: SurveyOptions;

  constructor(options: SurveyOptions) {
    this.#options = options;
  }

  add(version: ObjectVersion, lock: ObjectLock | null): void {
    const part = partOf(version.key);
    const report = this.parts.get(part) ?? emptyReport(part);
    this.parts.set(part, report);
    if (part === '') this.#find('key_foreign', version);
    if (version.isDeleteMarker) {
      report.deleteMarkers += 1;
      this.#find('delete_marker', version);
      return;
    }
    report.bytes += version.bytes;
    if (version.ordinal === 1) report.objects += 1;
    else {
      report.laterVersions += 1;
      this.#find('second_version', version);
    }
    if (lock !== null) this.#addLock(report, version, lock);
  }

  findings(): readonly Finding[] {
    return Array.from(this.#found, ([code, { first, count }]) => finding(code, first, count));
  }

  #addLock(report: PartReport, version: ObjectVersion, lock: ObjectLock): void {
    const { retentionDays, now } = this.#options;
    const { mode, retainUntil } = lock;
    if (lock.legalHold) report.holds += 1;
    if (retainUntil === null) {
      report.unlocked += 1;
      this.#find('object_unlocked', version);
      return;
    }
    if (mode === 'GOVERNANCE') {
      report.governance += 1;
      this.#find('object_governance', version);
    }
    if (report.earliest === null || retainUntil < report.earliest) report.earliest = retainUntil;
    if (report.latest === null || retainUntil > report.latest) report.latest = retainUntil;
    if (retainUntil <= now) {
      report.over += 1;
      this.#find('retention_over', version);
    }
    const days = (retainUntil.getTime() - (version.modified ?? now).getTime()) / MS_PER_DAY;
    // The date is made before the object is written.
    if (retentionDays !== null && days < retentionDays - 1) this.#find('object_short', version);
  }

  #find(code: FindingCode, { key }: ObjectVersion): void {
    const tally = this.#found.get(code);
    if (tally === undefined) this.#found.set(code, { first: key, count: 1 });
    else tally.count += 1;
  }
}

export interface SurveyReport {
  readonly parts: readonly PartReport[];
  readonly findings: readonly Finding[];
}

/** Throws StoreError. */
export async function survey(store: ObjectStore, options: SurveyOptions): Promise<SurveyReport> {
  const result = new Survey(options);
  await forEachOf(store.list(''), async (version) => {
    // A foreign key may be one that a store does not ask for.
    const canAsk = !version.isDeleteMarker && isObjectKey(version.key);
    const head = canAsk ? await store.head(version.key, version.versionId) : null;
    result.add(version, head?.lock ?? null);
    options.onVersion();
  });
  const parts = [...result.parts.values()].toSorted((a, b) => (a.part < b.part ? -1 : 1));
  return { parts, findings: result.findings() };
}
