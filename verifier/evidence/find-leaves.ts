// Where the leaves are that somebody asks for: by time, or by client order id. Reads as little as it can: a
// few bundles for a time, the index objects (or else the level-0 tiles) for an order. The index is unsigned,
// and hashes are hashes: what is found is verified later, what is not found may be hidden.

import type { WireCrypto } from '../../wire/crypto.ts';
import { KIND, parseLeaf } from '../../wire/leaf.ts';
import { MAX_INDEX_BYTES, parseBundleIndex } from '../../wire/log-index.ts';
import type { BundleIndex } from '../../wire/log-index.ts';
import { clientOrderIdOf } from '../../wire/payloads.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { HASH_BYTES, leafHash } from '../../wire/tlog/merkle.ts';
import { TILE_WIDTH } from '../../wire/tlog/tile.ts';
import type { EpochFiles } from '../log/epoch-files.ts';
import { readAhead } from '../log/read-ahead.ts';

const READ_AHEAD = 8;
const MAX_CACHED_BUNDLES = 4;

export interface Progress {
  (done: number, total: number): void;
}

/** Leaves of one epoch by index, bundle by bundle, the last few kept. Nothing is verified. */
export class LeafReader {
  readonly files: EpochFiles;
  readonly size: number;
  readonly #bundles = new Map<number, readonly Uint8Array[]>();

  constructor(files: EpochFiles, size: number) {
    this.files = files;
    this.size = size;
  }

  get bundleCount(): number {
    return Math.ceil(this.size / TILE_WIDTH);
  }

  /** Leaves that bundle `index` has in a tree of this size. */
  widthOf(index: number): number {
    return Math.min(TILE_WIDTH, this.size - index * TILE_WIDTH);
  }

  async bundle(index: number): Promise<Result<readonly Uint8Array[]>> {
    const known = this.#bundles.get(index);
    if (known !== undefined) return accept(known);
    const leaves = await this.files.leaves(index, this.widthOf(index));
    if (!leaves.ok) return leaves;
    const [oldest] = this.#bundles.keys();
    if (this.#bundles.size >= MAX_CACHED_BUNDLES && oldest !== undefined) {
      this.#bundles.delete(oldest);
    }
    this.#bundles.set(index, leaves.value);
    return leaves;
  }

  async leaf(index: number): Promise<Result<Uint8Array>> {
    const bundle = await this.bundle(Math.floor(index / TILE_WIDTH));
    if (!bundle.ok) return bundle;
    const leaf = bundle.value[index % TILE_WIDTH];
    return leaf === undefined ? refuse('tile_missing', { index }) : accept(leaf);
  }

  async timeOf(index: number): Promise<Result<bigint>> {
    const bytes = await this.leaf(index);
    if (!bytes.ok) return bytes;
    const leaf = parseLeaf(bytes.value);
    return leaf.ok ? accept(leaf.value.timeNs) : leaf;
  }
}

export interface FoundRange {
  readonly first: number;
  readonly last: number;
}

/** All leaves with from ≤ time ≤ to; null when there is none. Times never decrease: two searches by halves. */
export async function findByTime(
  reader: LeafReader,
  fromNs: bigint,
  toNs: bigint,
): Promise<Result<FoundRange | null>> {
  const first = await firstAtOrAfter(reader, fromNs);
  if (!first.ok) return first;
  const behind = await firstAtOrAfter(reader, toNs + 1n);
  if (!behind.ok) return behind;
  return accept(
    first.value >= behind.value ? null : { first: first.value, last: behind.value - 1 },
  );
}

/** The size when there is none. Halves bundles by their first leaf, so that each is read once. */
async function firstAtOrAfter(reader: LeafReader, timeNs: bigint): Promise<Result<number>> {
  // The last bundle that begins before the time has the first leaf at or behind it, or is followed by it.
  let [low, high] = [0, reader.bundleCount];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const time = await reader.timeOf(middle * TILE_WIDTH);
    if (!time.ok) return time;
    if (time.value < timeNs) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return accept(0);
  const bundle = low - 1;
  const width = reader.widthOf(bundle);
  for (let at = 0; at < width; at++) {
    const time = await reader.timeOf(bundle * TILE_WIDTH + at);
    if (!time.ok || time.value >= timeNs) {
      return time.ok ? accept(bundle * TILE_WIDTH + at) : time;
    }
  }
  return accept(Math.min(reader.size, low * TILE_WIDTH));
}

/** Bundles by number, as index objects describe them; those without one are missing. */
type Indexes = ReadonlyMap<number, BundleIndex>;

/** `epoch` as the names have it. Unreadable or foreign objects are passed over: the bundle is read instead. */
async function readIndexes(
  { files: { source } }: LeafReader,
  epoch: number,
  onProgress: Progress,
): Promise<Result<Indexes>> {
  const paths = await indexPaths(source, epoch);
  if (!paths.ok) return paths;
  const indexes = new Map<number, BundleIndex>();
  const names = paths.value;
  const reads = readAhead(names.length, READ_AHEAD, (at) =>
    source.read(names[at] ?? '', MAX_INDEX_BYTES),
  );
  let done = 0;
  for await (const read of reads) {
    onProgress(++done, names.length);
    if (!read.ok) return read;
    const index = read.value === null ? null : parseBundleIndex(read.value);
    if (index?.ok !== true || index.value.epoch !== epoch) continue;
    const { first } = index.value;
    if (first % TILE_WIDTH === 0) indexes.set(first / TILE_WIDTH, index.value);
  }
  return accept(indexes);
}

/** index/yyyy/mm/dd/<epoch>-<first>.json */
async function indexPaths(
  source: EpochFiles['source'],
  epoch: number,
): Promise<Result<readonly string[]>> {
  let folders: readonly string[] = ['index'];
  for (const pattern of [/^\d{4}$/u, /^\d{2}$/u, /^\d{2}$/u]) {
    const next: string[] = [];
    for (const folder of folders) {
      const names = await source.list(folder);
      if (!names.ok) return names;
      for (const name of names.value ?? []) if (pattern.test(name)) next.push(`${folder}/${name}`);
    }
    folders = next;
  }
  const paths: string[] = [];
  const start = `${String(epoch).padStart(10, '0')}-`;
  for (const folder of folders) {
    const names = await source.list(folder);
    if (!names.ok) return names;
    for (const name of names.value ?? []) {
      if (name.startsWith(start) && /-\d{20}\.json$/u.test(name)) paths.push(`${folder}/${name}`);
    }
  }
  return accept(paths.sort());
}

export interface FoundOrder {
  readonly output: number;
  /** Ascending. */
  readonly reports: readonly number[];
}

/** The output whose leaf hash begins as the order id says, and all reports about it. Null: not found. */
export async function findOrder(
  crypto: WireCrypto,
  reader: LeafReader,
  order: string,
  epoch: number,
  onProgress: Progress,
): Promise<Result<FoundOrder | null>> {
  const indexes = await readIndexes(reader, epoch, onProgress);
  if (!indexes.ok) return indexes;
  const output = await findOutput(crypto, reader, order, indexes.value, onProgress);
  if (!output.ok || output.value === null) return output.ok ? accept(null) : output;
  const reports = await findReports(reader, output.value, indexes.value, onProgress);
  return reports.ok ? accept({ output: output.value, reports: reports.value }) : reports;
}

async function findOutput(
  crypto: WireCrypto,
  reader: LeafReader,
  order: string,
  indexes: Indexes,
  onProgress: Progress,
): Promise<Result<number | null>> {
  const named = Array.from(indexes.values(), ({ outputs }) => outputs)
    .flat()
    .find((output) => output.order === order);
  if (named !== undefined && named.leaf < reader.size) {
    const leaf = await reader.leaf(named.leaf);
    if (!leaf.ok) return leaf;
    if (clientOrderIdOf(leafHash(crypto, leaf.value)) === order) return accept(named.leaf);
  }
  // No index, or one that lies: the hashes themselves.
  for (let bundle = 0; bundle < reader.bundleCount; bundle++) {
    const width = reader.widthOf(bundle);
    const tile = await reader.files.tile(0, bundle, width);
    if (!tile.ok) return tile;
    for (let at = 0; at < width; at++) {
      const hash = tile.value.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
      if (clientOrderIdOf(hash) === order) return accept(bundle * TILE_WIDTH + at);
    }
    onProgress(bundle + 1, reader.bundleCount);
  }
  return accept(null);
}

/** Reports name their output in public. Bundles whose index has no report in them are passed over. */
async function findReports(
  reader: LeafReader,
  output: number,
  indexes: Indexes,
  onProgress: Progress,
): Promise<Result<readonly number[]>> {
  const begin = Math.floor(output / TILE_WIDTH);
  const wanted: number[] = [];
  for (let bundle = begin; bundle < reader.bundleCount; bundle++) {
    const index = indexes.get(bundle);
    if (index === undefined || index.kinds[String(KIND.report)] !== undefined) wanted.push(bundle);
  }
  const reports: number[] = [];
  const bundles = readAhead(wanted.length, READ_AHEAD, (at) => reader.bundle(wanted[at] ?? 0));
  let done = 0;
  for await (const bundle of bundles) {
    if (!bundle.ok) return bundle;
    const first = (wanted[done++] ?? 0) * TILE_WIDTH;
    onProgress(done, wanted.length);
    for (const [at, bytes] of bundle.value.entries()) {
      const leaf = parseLeaf(bytes);
      if (!leaf.ok) return leaf;
      const { kind, causes } = leaf.value;
      if (kind === KIND.report && causes[0] === output) reports.push(first + at);
    }
  }
  return accept(reports);
}
