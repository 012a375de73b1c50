// What a store with versions and locks says of the objects that were read, and what about them a reader has
// to know: other versions, delete markers, locks that are missing, short or not in COMPLIANCE mode. The
// record is the oldest version all the same; nobody is accused, the reader asks.

import type { StoredObject, ObjectVersion } from '../../wire/node/objects/store.ts';
import { toHex } from '../../wire/bytes.ts';
import type { StoreFacts, StoreFinding, StoreProblem, StoredObjectFacts } from './source.ts';

const MAX_FINDINGS = 1000;
const MAX_OBJECTS = 65_536;
/** The writer's clock and the store's. */
const TOLERANCE_MS: number = 3600 * 1000;
const MS_PER_DAY: number = 24 * 3600 * 1000;

export interface LockRule {
  /** From the configuration of an epoch; null where it has none: then a lock has to hold now. */
  readonly retentionDays: number | null;
  readonly nowMs: number;
}

export class StoreFindings {
  readonly #store: string;
  /** False for a folder, which has no locks. */
  readonly #locks: boolean;
  readonly #objects = new Map<string, StoredObjectFacts>();
  readonly #findings = new Map<string, StoreFinding>();

  constructor(store: string, locks: boolean) {
    this.#store = store;
    this.#locks = locks;
  }

  /** Every version and delete marker of one key, the oldest first. */
  addVersions(versions: readonly ObjectVersion[]): void {
    const record = versions.find(({ isDeleteMarker }) => !isDeleteMarker);
    for (const version of versions) {
      if (version === record) continue;
      this.#find(version.isDeleteMarker ? 'delete_marker' : 'other_version', version);
    }
  }

  addRead(
    key: string,
    { versionId, sha256, lock }: StoredObject,
    modified: Date | null,
    { retentionDays, nowMs }: LockRule,
  ): void {
    const { mode, retainUntil, legalHold } = lock;
    if (this.#objects.size < MAX_OBJECTS) {
      this.#objects.set(key, {
        key,
        version_id: versionId,
        sha256: toHex(sha256),
        mode,
        retain_until: retainUntil?.toISOString() ?? null,
        legal_hold: legalHold,
      });
    }
    if (!this.#locks) return;
    const writtenMs = modified?.getTime() ?? nowMs;
    const untilMs =
      retentionDays === null ? nowMs : writtenMs + retentionDays * MS_PER_DAY - TOLERANCE_MS;
    if (mode === 'none') this.#find('lock_missing', { key, versionId });
    else if (mode === 'GOVERNANCE') this.#find('lock_governance', { key, versionId });
    else if ((retainUntil?.getTime() ?? 0) < untilMs) this.#find('lock_short', { key, versionId });
  }

  facts(): StoreFacts {
    const objects = [...this.#objects.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    return { store: this.#store, objects, findings: [...this.#findings.values()] };
  }

  #find(
    problem: StoreProblem,
    { key, versionId }: { readonly key: string; readonly versionId: string },
  ): void {
    if (this.#findings.size >= MAX_FINDINGS) return;
    this.#findings.set(`${problem} ${key} ${versionId}`, { problem, key, version_id: versionId });
  }
}
