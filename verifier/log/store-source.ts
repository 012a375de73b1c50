// A log in a store of objects (docs/PROTOCOL.md 7) as a source of files: the oldest version of each key is the
// record, every other one is a finding. A bucket has nothing mutable, so the checkpoint is the note of the
// close or of the last commit, and tiles that are not full yet are made of the leaves in the commits. Nothing
// is trusted: what is made here has to lead to a signed head like what was read.

import { concatBytes } from '../../wire/bytes.ts';
import { parseCommit } from '../../wire/commit.ts';
import { claimKey } from '../../wire/object-keys.ts';
import { isObjectKey } from '../../wire/host-keys.ts';
import { readHeaderLeaf } from '../../wire/log-verification/boot.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { ObjectStore, ObjectVersion } from '../../wire/node/objects/store.ts';
import { StoreError } from '../../wire/node/objects/store.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { MemoryTree, leafHash } from '../../wire/tlog/merkle.ts';
import { TILE_WIDTH, encodeEntryBundle, parseTile, tilePath } from '../../wire/tlog/tile.ts';
import { MAX_COMMIT_GROUP_BYTES } from '../../wire/objects.ts';
import type { LogSource, StoreFacts } from './source.ts';
import { StoreFindings } from './store-findings.ts';
import type { EpochTail } from './store-tail.ts';
import { readTail } from './store-tail.ts';

const MAX_NAMES = 1_000_000;
/** Behind every name that a key may have. */
const LAST = '~';
const TILE =
  /^epochs\/(\d{10})\/tile\/(entries|\d{1,2})\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/u;

export interface StoreSourceOptions {
  /** Whether the store has locks at all: a folder has none. */
  readonly locks: boolean;
  readonly now?: () => number;
}

export class StoreSource implements LogSource {
  readonly name: string;
  readonly #store: ObjectStore;
  readonly #findings: StoreFindings;
  readonly #now: () => number;
  readonly #tails = new Map<number, Promise<Result<EpochTail | null>>>();
  readonly #retention = new Map<number, Promise<number | null>>();

  constructor(store: ObjectStore, { locks, now = Date.now }: StoreSourceOptions) {
    this.name = store.name;
    this.#store = store;
    this.#findings = new StoreFindings(store.name, locks);
    this.#now = now;
  }

  facts(): StoreFacts {
    return this.#findings.facts();
  }

  async read(path: string, maximum: number): Promise<Result<Uint8Array | null>> {
    const checkpoint = /^epochs\/(\d{10})\/checkpoint$/u.exec(path);
    if (checkpoint !== null) {
      const tail = await this.#tail(Number(checkpoint[1]));
      return tail.ok ? accept(tail.value?.note ?? null) : tail;
    }
    const found = await this.#get(path, maximum);
    if (!found.ok || found.value !== null) return found;
    const tile = TILE.exec(path);
    if (tile !== null) return this.#makeTile(tile);
    const blob = /^blobs\/([0-9a-f]{64})$/u.exec(path)?.[1];
    return blob === undefined ? found : accept(await this.#tailBlob(blob));
  }

  /** Names below a folder; those of commits/ only the numbered ones. */
  async list(path: string): Promise<Result<readonly string[] | null>> {
    return this.#attempt(path, async () => {
      const names: string[] = [];
      const prefix = `${path}/`;
      let after = '';
      for (;;) {
        const next = await this.#nextNames(prefix, after, names);
        if (next === null) return accept(names.length === 0 ? null : names);
        after = next;
        if (names.length > MAX_NAMES) {
          return refuse('file_unreadable', { path, names: names.length, maximum: MAX_NAMES });
        }
      }
    });
  }

  /** Adds names up to the first folder, which is passed over as a whole; null at the end. */
  async #nextNames(prefix: string, after: string, names: string[]): Promise<string | null> {
    for await (const { key } of this.#store.list(prefix, after)) {
      const [name = '', ...below] = key.slice(prefix.length).split('/');
      if (names.at(-1) !== name) names.push(name);
      if (below.length > 0) return `${prefix}${name}/${LAST}`;
      if (names.length > MAX_NAMES) return key;
    }
    return null;
  }

  /** The record under a key, and what else the store has there. */
  async #get(key: string, maximum: number): Promise<Result<Uint8Array | null>> {
    if (!isObjectKey(key)) return accept(null);
    const rule = { retentionDays: await this.#retentionDays(key), nowMs: this.#now() };
    return this.#attempt(key, async () => {
      const versions = await this.#versions(key);
      this.#findings.addVersions(versions);
      const record = versions.find(({ isDeleteMarker }) => !isDeleteMarker);
      if (record === undefined) return accept(null);
      const object = await this.#store.get(key, maximum, record.versionId);
      if (object === null) return accept(null);
      this.#findings.addRead(key, object, record.modified, rule);
      return accept(object.bytes);
    });
  }

  async #versions(key: string): Promise<readonly ObjectVersion[]> {
    const versions: ObjectVersion[] = [];
    for await (const version of this.#store.list(key)) {
      if (version.key !== key) break;
      versions.push(version);
    }
    return versions;
  }

  /** How long the epoch of this key wanted its objects locked; null where nobody says. */
  #retentionDays(key: string): Promise<number | null> {
    const epoch = Number(/^epochs\/(\d{10})\//u.exec(key)?.[1] ?? 0);
    if (epoch === 0 || key === claimKey(epoch)) return Promise.resolve(null);
    const known = this.#retention.get(epoch) ?? this.#readRetention(epoch);
    this.#retention.set(epoch, known);
    return known;
  }

  /** Unverified: who lies here is found when leaf 0 is verified. */
  async #readRetention(epoch: number): Promise<number | null> {
    const bytes = await this.#get(claimKey(epoch), MAX_COMMIT_GROUP_BYTES);
    const commit = bytes.ok && bytes.value !== null ? parseCommit(bytes.value) : null;
    const [leaf] = commit?.ok === true ? commit.value.leaves : [];
    const boot = leaf === undefined ? null : readHeaderLeaf(nodeCrypto, leaf);
    return boot?.ok === true ? (boot.value.configuration.s3?.retention_days ?? null) : null;
  }

  #tail(epoch: number): Promise<Result<EpochTail | null>> {
    const known =
      this.#tails.get(epoch) ??
      readTail(
        {
          read: (key, maximum) => this.#get(key, maximum),
          exists: (key) =>
            this.#attempt(key, async () => accept((await this.#versions(key)).length > 0)),
        },
        epoch,
      );
    this.#tails.set(epoch, known);
    return known;
  }

  async #tailBlob(hash: string): Promise<Uint8Array | null> {
    for (const tail of this.#tails.values()) {
      const known = await tail;
      const blob = known.ok ? known.value?.blobs.get(hash) : undefined;
      if (blob !== undefined) return blob;
    }
    return null;
  }

  /** A tile or bundle that nobody has written yet; null when its leaves are not all in the commits. */
  async #makeTile(match: RegExpExecArray): Promise<Result<Uint8Array | null>> {
    const [, epochText, kind, number = '', widthText] = match;
    const epoch = Number(epochText);
    const tail = await this.#tail(epoch);
    if (!tail.ok || tail.value === null) return tail.ok ? accept(null) : tail;
    const index = Number(number.replaceAll(/[x/]/gu, ''));
    const width = widthText === undefined ? TILE_WIDTH : Number(widthText);
    if (width > TILE_WIDTH) return accept(null);
    const level = kind === 'entries' ? 0 : Number(kind);
    if (level > 0) return this.#foldTiles(epoch, level, index, width);
    const leaves: Uint8Array[] = [];
    for (let at = 0; at < width; at++) {
      const leaf = tail.value.leaves.get(index * TILE_WIDTH + at);
      if (leaf === undefined) return accept(null);
      leaves.push(leaf);
    }
    return accept(
      kind === 'entries'
        ? encodeEntryBundle(leaves)
        : concatBytes(...leaves.map((leaf) => leafHash(nodeCrypto, leaf))),
    );
  }

  /** Hashes of the complete tiles below. */
  async #foldTiles(
    epoch: number,
    level: number,
    index: number,
    width: number,
  ): Promise<Result<Uint8Array | null>> {
    const hashes: Uint8Array[] = [];
    for (let at = 0; at < width; at++) {
      const below = `epochs/${String(epoch).padStart(10, '0')}/${tilePath(level - 1, index * TILE_WIDTH + at, TILE_WIDTH)}`;
      const bytes = await this.read(below, TILE_WIDTH * 32);
      if (!bytes.ok || bytes.value === null) return bytes;
      const tile = parseTile(bytes.value, TILE_WIDTH);
      if (!tile.ok) return tile;
      const tree = new MemoryTree(nodeCrypto);
      for (const hash of tile.value) tree.append(hash);
      hashes.push(tree.root());
    }
    return accept(concatBytes(...hashes));
  }

  /** Everything that a store throws is "I could not look", but for what is too large. */
  async #attempt<T>(path: string, act: () => Promise<Result<T>>): Promise<Result<T>> {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === 'too_large') {
        return refuse('file_unreadable', { path, what: 'too large', maximum: 'exceeded' });
      }
      return refuse('source_unreachable', { path, store: error.code, ...error.detail });
    }
  }
}
