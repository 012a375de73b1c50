// A store of objects that are written once: what is under a key is its oldest version, for ever. The folder
// (folder.ts) and S3 with Object Lock (s3.ts) give the same answers, held to it by one contract
// (test/wire/node/objects/contract.ts). A store is not trusted: whoever reads verifies what it reads. Hostile
// answers end as a StoreError or as "different", never as bytes that were not asked for.

/** Source: Amazon S3 API, x-amz-object-lock-*. */
export interface ObjectLock {
  /** `none` also where the reader has no right to see it (s3:GetObjectRetention): it fails closed. */
  readonly mode: 'COMPLIANCE' | 'GOVERNANCE' | 'none';
  /** Null with mode `none`. */
  readonly retainUntil: Date | null;
  readonly legalHold: boolean;
}

export interface PutOptions {
  /**
   * Until when nobody may delete it, in COMPLIANCE mode. Null leaves retention to the bucket's default. A folder
   * keeps no retention.
   */
  readonly retainUntil: Date | null;
}

export interface PutResult {
  /**
   * `written` by this call, and the key's oldest version; `same`: these bytes were there, from a call whose
   * answer was lost or from another writer; `different`: the key's oldest version has other bytes.
   */
  readonly outcome: 'written' | 'same' | 'different';
  /** Of the oldest version. */
  readonly versionId: string;
}

/** A version without its bytes. */
export interface ObjectHead {
  readonly key: string;
  readonly versionId: string;
  readonly bytes: number;
  /** 32 bytes as the store tells them; null where it tells none. Compared with the bytes only by `get`. */
  readonly sha256: Uint8Array | null;
  readonly lock: ObjectLock;
}

export interface StoredObject {
  readonly bytes: Uint8Array;
  readonly versionId: string;
  /** 32 bytes, computed over `bytes`; a store that told another one is refused (`checksum_mismatch`). */
  readonly sha256: Uint8Array;
  readonly lock: ObjectLock;
}

export interface ObjectVersion {
  readonly key: string;
  readonly versionId: string;
  /** It hides the versions before it from whoever does not ask for them: always a finding. */
  readonly isDeleteMarker: boolean;
  /** 1 for the oldest version of its key, which is the record; 2 and more are findings. 0 for a delete marker. */
  readonly ordinal: number;
  /** 0 for a delete marker. */
  readonly bytes: number;
  /** By the store's clock; null where it tells none. */
  readonly modified: Date | null;
}

/** Every method throws StoreError and nothing else; all retry what is transient, with a bound, before they do. */
export interface ObjectStore {
  /** For messages: `s3://bucket/prefix` or a folder's path. Holds no secret. */
  readonly name: string;
  /**
   * Never replaces anything. When it resolves with `written` or `same`, the bytes are durable, and the store
   * has confirmed their SHA-256. `same` says nothing about the lock of what was there: ask `head`.
   */
  putOnce(key: string, bytes: Uint8Array, options: PutOptions): Promise<PutResult>;
  /**
   * The oldest version, or the one asked for; null where there is none. Delete markers hide nothing.
   * More than `maxBytes` is refused (`too_large`) before it is read.
   */
  get(key: string, maxBytes: number, versionId?: string): Promise<StoredObject | null>;
  /** Like `get`, without the bytes. */
  head(key: string, versionId?: string): Promise<ObjectHead | null>;
  /**
   * Every version and delete marker below the prefix ('' for all), keys in the order of their bytes, the oldest
   * version first. `after`: only keys behind this one.
   */
  list(prefix: string, after?: string): AsyncIterable<ObjectVersion>;
}

export type StoreErrorCode =
  | 'unreachable'
  | 'unavailable'
  | 'conflict'
  | 'checksum_mismatch'
  | 'answer_invalid'
  | 'credentials_expired'
  | 'denied'
  | 'bucket_missing'
  | 'request_refused'
  | 'too_large'
  | 'key_invalid'
  | 'disk_failed'
  | 'stopped';

/** Why a store could not answer; the second part says whether the same call may succeed later. */
export const STORE_ERRORS: Readonly<Record<StoreErrorCode, readonly [string, boolean]>> = {
  unreachable: ['no connection, or it was cut or timed out', true],
  unavailable: ['the store is overloaded or failing (5xx, 429)', true],
  conflict: ['another write of the same key is under way (409)', true],
  checksum_mismatch: ['the store told a SHA-256 that is not the bytes’', true],
  answer_invalid: ['the store’s answer lacks what it must have, or is not as documented', true],
  credentials_expired: ['the credentials have expired or the clocks disagree', true],
  denied: ['the store denies it (403)', false],
  bucket_missing: ['there is no such bucket', false],
  request_refused: ['the store refuses the request (4xx)', false],
  too_large: ['the object is larger than the caller allows', false],
  key_invalid: ['a key that no object of ours has', false],
  disk_failed: ['the file system failed; what was being written may not be durable', false],
  stopped: ['the caller stopped it', false],
};

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  /** Whether the same call may succeed later, without anybody changing anything. */
  readonly transient: boolean;
  /** Safe to show: our key, HTTP status, the store's error code if it is a plain word. Never a body. */
  readonly detail: Readonly<Record<string, string | number>>;

  constructor(code: StoreErrorCode, detail: Readonly<Record<string, string | number>> = {}) {
    const [text, transient] = STORE_ERRORS[code];
    const facts = Object.entries(detail).map(([name, value]) => `${name} ${String(value)}`);
    super([`${code}: ${text}`, ...facts].join(', '));
    this.name = 'StoreError';
    this.code = code;
    this.transient = transient;
    this.detail = detail;
  }
}

/** Whether the lock keeps a version in COMPLIANCE mode at least until then. */
export function isLockedUntil(lock: ObjectLock, until: Date): boolean {
  const { mode, retainUntil } = lock;
  // S3 keeps whole seconds on some servers.
  const missingMs = until.getTime() - (retainUntil?.getTime() ?? 0);
  return mode === 'COMPLIANCE' && missingMs < 1000;
}
