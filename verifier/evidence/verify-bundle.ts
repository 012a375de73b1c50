// Checks an evidence file: the container, the manifest, the attested key, the signed head, every tile and
// leaf up to that head, and that each other part says what the leaves say. All of it is hostile; the order
// is that of trust: nothing is shown before the key that has signed it is attested.

import { equalBytes, parseHex, toHex } from '../../wire/bytes.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { Leaf } from '../../wire/leaf.ts';
import { KIND, parseLeaf } from '../../wire/leaf.ts';
import { openLeaf, blobOf } from '../../wire/open-leaf.ts';
import type { LogTrust, VerifiedBoot } from '../../wire/log-verification/boot.ts';
import { readAttestationLeaf, verifyBoot } from '../../wire/log-verification/boot.ts';
import { clientOrderIdOf } from '../../wire/payloads.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Checkpoint } from '../../wire/tlog/checkpoint.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import type { TileAddress } from '../../wire/tlog/tile.ts';
import { tilePath } from '../../wire/tlog/tile.ts';
import type { StoreFacts } from '../log/source.ts';
import { LeafOrder } from './leaf-order.ts';
import type { Manifest } from './manifest.ts';
import { PART, isPartName, leafPart, parseManifest, withheldBy } from './manifest.ts';
import type { ShownLeaf, WithheldLeaf } from './parts.ts';
import { derivedParts, wantsBlob, wantsProof } from './parts.ts';
import { TileHashes, tilesAbove, verifyTiles } from './tile-hashes.ts';
import { parseVersions } from './versions.ts';
import type { ZipFiles } from './zip.ts';
import { readZip } from './zip.ts';

const NONE = new Uint8Array();

export interface VerifiedBundle {
  readonly manifest: Manifest;
  readonly boot: VerifiedBoot;
  readonly checkpoint: Checkpoint;
  readonly leaves: readonly (ShownLeaf | WithheldLeaf)[];
  /** The leaves beside a range of time; null where the log begins or ends. */
  readonly boundary: { readonly before: Leaf | null; readonly after: Leaf | null };
  readonly proofs: number;
  /** What the store has said, unproven; null for other sources. */
  readonly versions: StoreFacts | null;
}

export function verifyBundle(
  crypto: WireCrypto,
  bytes: Uint8Array,
  trust: LogTrust,
): Result<VerifiedBundle> {
  const unpacked = readZip(bytes, isPartName);
  return unpacked.ok ? verifyParts(crypto, unpacked.value, trust) : unpacked;
}

/** The same for parts that are unpacked already; their names are of the closed list. */
export function verifyParts(
  crypto: WireCrypto,
  files: ZipFiles,
  trust: LogTrust,
): Result<VerifiedBundle> {
  const parsed = parseManifest(files.get(PART.manifest) ?? NONE);
  if (!parsed.ok) return parsed;
  const manifest = parsed.value;
  const hashed = checkHashes(crypto, files, manifest);
  if (!hashed.ok) return hashed;
  const booted = verifyHead(crypto, files, manifest, trust);
  if (!booted.ok) return booted;
  const { boot, checkpoint } = booted.value;
  const tiled = readTiles(crypto, files, manifest, checkpoint);
  if (!tiled.ok) return tiled;
  const { tiles, hashes } = tiled.value;
  const read = new LeafParts(crypto, files, manifest, hashes).read();
  if (!read.ok) return read;
  const { leaves, boundary, header, document } = read.value;
  const asked = checkSelection(manifest, leaves, boundary);
  if (!asked.ok) return asked;
  const derived = derivedParts(crypto, {
    boot,
    leafZero: files.get(leafPart(0)) ?? NONE,
    header,
    document,
    note: files.get(PART.checkpoint) ?? NONE,
    size: checkpoint.size,
    hashes,
    selection: manifest.selection,
    leaves,
  });
  if (!derived.ok) return derived;
  const complete = checkParts(files, tiles, manifest, leaves, derived.value);
  if (!complete.ok) return complete;
  const versions = parseVersions(files.get(PART.versions) ?? NONE);
  if (!versions.ok) return versions;
  const proofs = leaves.filter((leaf) => !('why' in leaf) && wantsProof(leaf, manifest.selection));
  return accept({
    manifest,
    boot,
    checkpoint,
    leaves,
    boundary: { before: boundary.before?.leaf ?? null, after: boundary.after?.leaf ?? null },
    proofs: proofs.length,
    versions: versions.value,
  });
}

/** Every part is in the manifest with its hash, and the other way round. */
function checkHashes(
  crypto: WireCrypto,
  files: ZipFiles,
  { files: listed }: Manifest,
): Result<null> {
  const names = Object.keys(listed);
  const missing = names.find((name) => !files.has(name));
  if (missing !== undefined) {
    return refuse('bundle_parts', { missing: isPartName(missing) ? missing : 'an unknown name' });
  }
  for (const [name, bytes] of files) {
    if (name === PART.manifest) continue;
    const expected = Object.hasOwn(listed, name) ? listed[name] : undefined;
    if (expected === undefined) return refuse('bundle_parts', { unlisted: name });
    const actual = toHex(crypto.sha256(bytes));
    if (actual !== expected) return refuse('bundle_parts', { part: name, expected, actual });
  }
  // Listing itself would need a hash of its own hash.
  return Object.hasOwn(listed, PART.manifest)
    ? refuse('bundle_parts', { what: 'the manifest lists itself' })
    : accept(null);
}

function verifyHead(
  crypto: WireCrypto,
  files: ZipFiles,
  manifest: Manifest,
  trust: LogTrust,
): Result<{ readonly boot: VerifiedBoot; readonly checkpoint: Checkpoint }> {
  const document = readAttestationLeaf(crypto, files.get(leafPart(1)) ?? NONE);
  if (!document.ok) return document;
  const boot = verifyBoot(crypto, files.get(leafPart(0)) ?? NONE, document.value, trust);
  if (!boot.ok) return boot;
  const { origin, epoch, logKey } = boot.value.header;
  const note = files.get(PART.checkpoint) ?? NONE;
  const checkpoint = verifyCheckpoint(crypto, note, origin, logKey);
  if (!checkpoint.ok) return checkpoint;
  const { size, root } = checkpoint.value;
  const same =
    manifest.origin === origin &&
    manifest.epoch === epoch &&
    manifest.size === size &&
    manifest.root === toHex(root);
  return same
    ? accept({ boot: boot.value, checkpoint: checkpoint.value })
    : refuse('bundle_contradiction', { part: PART.manifest, what: 'origin or head' });
}

/** Ranges of leaves whose tiles have to be there. */
export function rangesOf({ range, boundary }: Pick<Manifest, 'range' | 'boundary'>): readonly {
  readonly first: number;
  readonly last: number;
}[] {
  const first = boundary.before ?? range.first;
  return [
    { first: 0, last: 1 },
    { first, last: boundary.after ?? range.last },
  ];
}

function readTiles(
  crypto: WireCrypto,
  files: ZipFiles,
  manifest: Manifest,
  checkpoint: Checkpoint,
): Result<{ readonly tiles: readonly TileAddress[]; readonly hashes: TileHashes }> {
  const tiles = tilesAbove(checkpoint.size, rangesOf(manifest));
  const hashes = new TileHashes(crypto);
  for (const tile of tiles) {
    const path = tilePath(tile.level, tile.index, tile.width);
    const bytes = files.get(path);
    if (bytes === undefined) return refuse('bundle_parts', { missing: path });
    const added = hashes.add(tile, bytes);
    if (!added.ok) return added;
  }
  const verified = verifyTiles(crypto, hashes, tiles, checkpoint);
  return verified.ok ? accept({ tiles, hashes }) : verified;
}

interface ReadLeaves {
  readonly leaves: readonly (ShownLeaf | WithheldLeaf)[];
  readonly boundary: { readonly before: ShownLeaf | null; readonly after: ShownLeaf | null };
  readonly header: Uint8Array;
  readonly document: Uint8Array;
}

/** Leaves of the file against the hashes of the tree, opened with the keys of the file. */
class LeafParts {
  readonly #crypto: WireCrypto;
  readonly #files: ZipFiles;
  readonly #manifest: Manifest;
  readonly #hashes: TileHashes;
  readonly #keys = new Map<number, Uint8Array>();

  constructor(crypto: WireCrypto, files: ZipFiles, manifest: Manifest, hashes: TileHashes) {
    this.#crypto = crypto;
    this.#files = files;
    this.#manifest = manifest;
    this.#hashes = hashes;
  }

  read(): Result<ReadLeaves> {
    const keys = this.#readKeys();
    if (!keys.ok) return keys;
    const { range, boundary, redactions } = this.#manifest;
    const withheld = withheldBy(redactions);
    const order = new LeafOrder();
    const others = new Map<number, ShownLeaf>();
    const leaves: (ShownLeaf | WithheldLeaf)[] = [];
    const { before, after } = boundary;
    const inside = Array.from(
      { length: range.last - range.first + 1 },
      (_, at) => at + range.first,
    );
    const wanted = new Set([0, 1, ...(before === null ? [] : [before]), ...inside]);
    if (after !== null) wanted.add(after);
    for (const index of wanted) {
      const isInside = index >= range.first && index <= range.last;
      const why = isInside ? withheld.get(index) : undefined;
      if (why !== undefined) {
        const hash = this.#hashes.node(0, index);
        if (hash === null) return refuse('bundle_incomplete', { index });
        leaves.push({ index, hash, why });
        // The header is needed whether or not the range has it.
        if (index > 1) continue;
      }
      const shown = this.#readLeaf(index, isInside && why === undefined);
      if (!shown.ok) return refuse(shown.refusal.code, { index, ...shown.refusal.detail });
      const placed = order.add(index, shown.value.leaf);
      if (!placed.ok) return placed;
      if (isInside && why === undefined) leaves.push(shown.value);
      others.set(index, shown.value);
    }
    return accept({
      leaves,
      boundary: {
        before: before === null ? null : (others.get(before) ?? null),
        after: after === null ? null : (others.get(after) ?? null),
      },
      header: others.get(0)?.plaintext ?? NONE,
      document: others.get(1)?.plaintext ?? NONE,
    });
  }

  /** Only the form; `derivedParts` compares the file as a whole. */
  #readKeys(): Result<null> {
    const { disclosed } = this.#manifest;
    let json: unknown = null;
    try {
      json = JSON.parse(Buffer.from(this.#files.get(PART.keys) ?? NONE).toString('utf8'));
    } catch {
      return refuse('bundle_contradiction', { part: PART.keys, what: 'format' });
    }
    const entries = typeof json === 'object' && json !== null ? Object.entries(json) : [];
    for (const [at, index] of disclosed.entries()) {
      const [name, hex] = entries[at] ?? [];
      const key = typeof hex === 'string' ? parseHex(hex) : null;
      if (name !== `leaf ${index}` || key?.length !== 32) {
        return refuse('bundle_contradiction', { part: PART.keys, index });
      }
      this.#keys.set(index, key);
    }
    return entries.length === disclosed.length
      ? accept(null)
      : refuse('bundle_contradiction', { part: PART.keys, what: 'keys that nobody lists' });
  }

  /** Leaves beside the range stay closed: they are there for their times. */
  #readLeaf(index: number, isInside: boolean): Result<ShownLeaf> {
    const bytes = this.#files.get(leafPart(index));
    if (bytes === undefined) return refuse('bundle_incomplete');
    const hash = leafHash(this.#crypto, bytes);
    if (!equalBytes(hash, this.#hashes.node(0, index) ?? NONE)) return refuse('inclusion_invalid');
    const parsed = parseLeaf(bytes);
    if (!parsed.ok) return parsed;
    const leaf = parsed.value;
    const isPrivate = leaf.body.form === 'private' || leaf.body.form === 'private-blob';
    const key = isInside ? (this.#keys.get(index) ?? null) : null;
    if (key !== null && !isPrivate) {
      return refuse('bundle_contradiction', { part: PART.keys, what: 'a key without use' });
    }
    const shown: ShownLeaf = { index, bytes, hash, leaf, key, blob: null, plaintext: null };
    const isRead = isInside || index < 2;
    if (!isRead || (isPrivate && key === null)) return accept(shown);
    const named = wantsBlob(leaf, key !== null) ? blobOf(leaf) : null;
    const blob = named === null ? null : (this.#files.get(`blobs/${toHex(named.hash)}`) ?? null);
    const opened = openLeaf(this.#crypto, leaf, key, blob);
    return opened.ok ? accept({ ...shown, blob, plaintext: opened.value.plaintext }) : opened;
  }
}

function wrong(index: number): Result<never> {
  return refuse('bundle_contradiction', { part: PART.manifest, what: 'selection', index });
}

/** The range is what was asked for: by the leaves' own times and hashes. */
function checkSelection(
  { selection, range }: Manifest,
  leaves: ReadLeaves['leaves'],
  { before, after }: ReadLeaves['boundary'],
): Result<null> {
  const shown = leaves.filter((leaf): leaf is ShownLeaf => !('why' in leaf));
  if (selection.by === 'time') {
    const [from, to] = [BigInt(selection.from_ns), BigInt(selection.to_ns)];
    const outside = shown.find(({ leaf }) => leaf.timeNs < from || leaf.timeNs > to);
    if (outside !== undefined) return wrong(outside.index);
    if (before !== null && before.leaf.timeNs >= from) return wrong(before.index);
    if (after !== null && after.leaf.timeNs <= to) return wrong(after.index);
  } else if (selection.by === 'order') {
    for (const { index, hash, leaf } of shown) {
      const isOutput =
        leaf.kind === KIND.output &&
        index === range.first &&
        clientOrderIdOf(hash) === selection.order;
      const isReport = leaf.kind === KIND.report && leaf.causes[0] === range.first;
      if (!isOutput && !isReport) return wrong(index);
    }
    if (shown[0]?.index !== range.first) return wrong(range.first);
  } else if (shown.length !== 1) return wrong(selection.index);
  return accept(null);
}

/** No part is missing, none is there that nothing has looked at, and each derived one is as it must be. */
function checkParts(
  files: ZipFiles,
  tiles: readonly TileAddress[],
  { boundary }: Manifest,
  leaves: ReadLeaves['leaves'],
  derived: ZipFiles,
): Result<null> {
  for (const [name, expected] of derived) {
    const actual = files.get(name);
    if (actual === undefined) return refuse('bundle_parts', { missing: name });
    if (!equalBytes(actual, expected)) return refuse('bundle_contradiction', { part: name });
  }
  const looked = new Set<string>([
    PART.manifest,
    PART.versions,
    ...derived.keys(),
    ...tiles.map(({ level, index, width }) => tilePath(level, index, width)),
    ...[0, 1, boundary.before, boundary.after].map((index) => leafPart(index ?? 0)),
  ]);
  for (const leaf of leaves) {
    if ('why' in leaf) continue;
    looked.add(leafPart(leaf.index));
    const named = leaf.blob === null ? null : blobOf(leaf.leaf);
    if (named !== null) looked.add(`blobs/${toHex(named.hash)}`);
  }
  const other = [...files.keys()].find((name) => !looked.has(name));
  return other === undefined ? accept(null) : refuse('bundle_parts', { unexpected: other });
}
