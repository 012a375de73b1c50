// What the simulated S3 keeps: buckets, and of each key every version and delete marker, newest first. All
// changes are events, so that a journal on disk gives the same state again. Rules are elsewhere
// (object-rules.ts, bucket-operations.ts): nothing here refuses anything.

export interface Retention {
  readonly mode: 'COMPLIANCE' | 'GOVERNANCE';
  /** Milliseconds since 1970. */
  readonly until: number;
}

export interface DefaultRetention {
  readonly mode: 'COMPLIANCE' | 'GOVERNANCE';
  readonly days?: number;
  readonly years?: number;
}

export interface Version {
  readonly id: string;
  readonly isDeleteMarker: boolean;
  readonly body: Uint8Array;
  readonly modified: number;
  readonly contentType: string;
  /** `sha256`: base64 and so on; as the client sent it. */
  readonly checksums: Readonly<Record<string, string>>;
  readonly md5Hex: string;
  readonly retention: Retention | null;
  /** Null where it was never set. */
  readonly legalHold: boolean | null;
}

/** What a bucket encrypts under where a request does not say. */
export interface Encryption {
  readonly algorithm: string;
  readonly keyId: string | null;
}

export interface BucketSettings {
  readonly created: number;
  readonly versioning: 'Enabled' | 'Suspended' | null;
  readonly objectLock: boolean;
  readonly defaultRetention: DefaultRetention | null;
  readonly policy: string | null;
  /** The four switches of a public access block. */
  readonly publicAccessBlock: readonly boolean[] | null;
  /** As it was put: XML. */
  readonly lifecycle?: string | null;
  /** SSE-S3 where it is absent. */
  readonly encryption?: Encryption;
}

export interface Bucket {
  readonly name: string;
  readonly settings: BucketSettings;
  /** Newest first. */
  readonly keys: Map<string, Version[]>;
}

export type StateEvent =
  | { readonly type: 'bucket'; readonly bucket: string; readonly settings: BucketSettings }
  | { readonly type: 'bucket-gone'; readonly bucket: string }
  | {
      readonly type: 'version';
      readonly bucket: string;
      readonly key: string;
      readonly version: Version;
    }
  | {
      readonly type: 'lock';
      readonly bucket: string;
      readonly key: string;
      readonly id: string;
      readonly retention: Retention | null;
      readonly legalHold: boolean | null;
    }
  | {
      readonly type: 'version-gone';
      readonly bucket: string;
      readonly key: string;
      readonly id: string;
    };

export class S3State {
  readonly buckets: Map<string, Bucket> = new Map();
  readonly #journal: (event: StateEvent) => void;

  constructor(journal: (event: StateEvent) => void = () => undefined) {
    this.#journal = journal;
  }

  change(event: StateEvent): void {
    this.#journal(event);
    this.replay(event);
  }

  replay(event: StateEvent): void {
    if (event.type === 'bucket') {
      const keys = this.buckets.get(event.bucket)?.keys ?? new Map<string, Version[]>();
      this.buckets.set(event.bucket, { name: event.bucket, settings: event.settings, keys });
      return;
    }
    if (event.type === 'bucket-gone') {
      this.buckets.delete(event.bucket);
      return;
    }
    const keys = this.buckets.get(event.bucket)?.keys;
    if (keys === undefined) throw new Error(`no bucket ${event.bucket}`);
    const versions = keys.get(event.key) ?? [];
    if (event.type === 'version') {
      // A bucket without versioning has one version, called null.
      const others = versions.filter(({ id }) => id !== 'null' || event.version.id !== 'null');
      keys.set(event.key, [event.version, ...others]);
    } else if (event.type === 'version-gone') {
      const rest = versions.filter(({ id }) => id !== event.id);
      if (rest.length === 0) keys.delete(event.key);
      else keys.set(event.key, rest);
    } else {
      const { retention, legalHold } = event;
      const changed = versions.map((version) =>
        version.id === event.id ? Object.assign({}, version, { retention, legalHold }) : version,
      );
      keys.set(event.key, changed);
    }
  }
}
