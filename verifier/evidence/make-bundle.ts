// Makes an evidence file out of a log: finds the leaves, fetches the few tiles and bundles that lead from
// them to the signed head, discloses single leaves when compliance's key is there, and packs it all. The
// copy of the log is checked against its head on the way; whether the head is worth anything is for whoever
// verifies the file. The disclosure key opens the leaves of the range here and goes nowhere.

import { equalBytes, toHex } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import { unwrapDisclosureKey } from '../../wire/open-disclosure.ts';
import { KIND, leafKey, parseLeaf } from '../../wire/leaf.ts';
import { blobOf, openLeaf } from '../../wire/open-leaf.ts';
import type { Kind } from '../../wire/leaf.ts';
import { readAttestationLeaf, readHeaderLeaf } from '../../wire/log-verification/boot.ts';
import type { VerifiedBoot } from '../../wire/log-verification/boot.ts';
import type { PrivateKeys } from '../../wire/log-verification/private-leaves.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Checkpoint } from '../../wire/tlog/checkpoint.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import { tilePath } from '../../wire/tlog/tile.ts';
import type { EpochFiles } from '../log/epoch-files.ts';
import { unsafeClaimedSize } from '../log/epoch-files.ts';
import type { OtherEpochs } from './epoch-range.ts';
import type { FoundOrder, Progress } from './find-leaves.ts';
import { LeafReader, findByTime, findOrder } from './find-leaves.ts';
import type { Manifest, Redaction, Selection, WithheldReason } from './manifest.ts';
import { EVIDENCE_FORMAT, MAX_PROOFS, MAX_RANGE_LEAVES, PART, leafPart } from './manifest.ts';
import type { ShownLeaf, WithheldLeaf } from './parts.ts';
import { derivedParts, wantsBlob, wantsProof } from './parts.ts';
import { TileHashes, tilesAbove, verifyTiles } from './tile-hashes.ts';
import { rangesOf } from './verify-bundle.ts';
import { encodeVersions } from './versions.ts';
import { ZIP_LIMITS, writeZip } from './zip.ts';

export interface PullRequest {
  readonly files: EpochFiles;
  readonly selection: Selection;
  /** Compliance's key discloses outputs and reports; null leaves them closed. */
  readonly keys: PrivateKeys | null;
  /** Kinds of which only hashes go along, in a range of time. */
  readonly withhold: ReadonlySet<Kind>;
  readonly reason: string;
  /** Of a range of time, where somebody has looked. */
  readonly otherEpochs: OtherEpochs | null;
  readonly onProgress: Progress;
}

export interface MadeBundle {
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
  readonly leaves: readonly (ShownLeaf | WithheldLeaf)[];
  /** Of the store: other versions, delete markers, missing locks. */
  readonly findings: number;
}

interface Head {
  readonly reader: LeafReader;
  readonly boot: Pick<VerifiedBoot, 'header' | 'configuration'>;
  readonly note: Uint8Array;
  readonly checkpoint: Checkpoint;
  readonly document: Uint8Array;
}

/** What of the range is shown: `shows` answers null, or why not. */
interface Plan {
  readonly first: number;
  readonly last: number;
  readonly shows: (index: number, kind: Kind | null) => WithheldReason | null;
  readonly discloses: (kind: Kind) => boolean;
}

export async function makeBundle(
  crypto: WireCrypto,
  request: PullRequest,
): Promise<Result<MadeBundle>> {
  const opened = await openHead(crypto, request.files);
  if (!opened.ok) return opened;
  const head = opened.value;
  const planned = await plan(crypto, head, request);
  if (!planned.ok) return planned;
  const { first, last } = planned.value;
  const { size } = head.checkpoint;
  const timed = request.selection.by === 'time';
  const boundary = {
    before: timed && first > 0 ? first - 1 : null,
    after: timed && last + 1 < size ? last + 1 : null,
  };
  const parts = new Map<string, Uint8Array>();
  const hashes = await fetchTiles(crypto, head, { range: { first, last }, boundary }, parts);
  if (!hashes.ok) return hashes;
  const collector = new Collector(crypto, head, planned.value, request, hashes.value, parts);
  const collected = await collector.collect(boundary);
  if (!collected.ok) return collected;
  const leaves = collected.value;
  const { selection } = request;
  const proofs = leaves.filter((leaf) => !('why' in leaf) && wantsProof(leaf, selection)).length;
  if (proofs > MAX_PROOFS) return refuse('bundle_too_large', { proofs, maximum: MAX_PROOFS });
  const { boot, document, note } = head;
  const leafZero = parts.get(leafPart(0)) ?? new Uint8Array();
  const derived = derivedParts(crypto, {
    boot,
    leafZero,
    header: collector.header,
    document,
    note,
    size,
    hashes: hashes.value,
    selection,
    leaves,
  });
  if (!derived.ok) return derived;
  for (const [name, bytes] of derived.value) parts.set(name, bytes);
  const facts = request.files.source.facts?.() ?? null;
  parts.set(PART.versions, encodeVersions(facts));
  const packed = pack(crypto, parts, {
    format: EVIDENCE_FORMAT,
    origin: boot.header.origin,
    epoch: boot.header.epoch,
    size,
    root: toHex(head.checkpoint.root),
    selection,
    range: { first, last },
    boundary,
    disclosed: leaves.flatMap((leaf) => ('why' in leaf || leaf.key === null ? [] : [leaf.index])),
    redactions: redactionsOf(leaves),
    reason: request.reason,
    other_epochs: request.otherEpochs,
    files: {},
  });
  if (!packed.ok) return packed;
  return accept({ ...packed.value, leaves, findings: facts?.findings.length ?? 0 });
}

async function openHead(crypto: WireCrypto, files: EpochFiles): Promise<Result<Head>> {
  const note = await files.checkpoint();
  if (!note.ok) return note;
  if (note.value === null) return refuse('file_unreadable', { what: 'no checkpoint' });
  const size = unsafeClaimedSize(note.value);
  if (!size.ok) return size;
  const reader = new LeafReader(files, size.value);
  const [leafZero, leafOne] = [await reader.leaf(0), await reader.leaf(1)];
  if (!leafZero.ok) return leafZero;
  if (!leafOne.ok) return leafOne;
  const boot = readHeaderLeaf(crypto, leafZero.value);
  if (!boot.ok) return boot;
  const document = readAttestationLeaf(crypto, leafOne.value);
  if (!document.ok) return document;
  const { origin, logKey } = boot.value.header;
  const checkpoint = verifyCheckpoint(crypto, note.value, origin, logKey);
  if (!checkpoint.ok) return checkpoint;
  return accept({
    reader,
    boot: boot.value,
    note: note.value,
    checkpoint: checkpoint.value,
    document: document.value,
  });
}

async function plan(
  crypto: WireCrypto,
  { reader, boot }: Head,
  { selection, withhold, onProgress }: PullRequest,
): Promise<Result<Plan>> {
  if (selection.by === 'index') {
    const { index } = selection;
    if (index >= reader.size) {
      return refuse('usage_invalid', { what: '--index', index, size: reader.size });
    }
    return accept({ first: index, last: index, shows: () => null, discloses: () => true });
  }
  if (selection.by === 'order') {
    const { order } = selection;
    const found = await findOrder(crypto, reader, order, boot.header.epoch, onProgress);
    if (!found.ok) return found;
    return found.value === null
      ? refuse('usage_invalid', { what: '--order: not in this epoch', order })
      : planOrder(found.value);
  }
  const [from, to] = [BigInt(selection.from_ns), BigInt(selection.to_ns)];
  const found = await findByTime(reader, from, to);
  if (!found.ok) return found;
  if (found.value === null) {
    return refuse('usage_invalid', { what: '--from, --to: no leaf of this epoch lies between' });
  }
  const { first, last } = found.value;
  if (last - first >= MAX_RANGE_LEAVES) {
    return refuse('bundle_too_large', { leaves: last - first + 1, maximum: MAX_RANGE_LEAVES });
  }
  return accept({
    first,
    last,
    shows: (_, kind) => (kind !== null && withhold.has(kind) ? 'kind' : null),
    // A seed would say more of the strategy than its trades: by its index only.
    discloses: (kind) => kind === KIND.output || kind === KIND.report,
  });
}

function planOrder({ output, reports }: FoundOrder): Result<Plan> {
  const last = reports.at(-1) ?? output;
  if (last - output >= MAX_RANGE_LEAVES) {
    return refuse('bundle_too_large', { leaves: last - output + 1, maximum: MAX_RANGE_LEAVES });
  }
  const shown = new Set([output, ...reports]);
  return accept({
    first: output,
    last,
    shows: (index) => (shown.has(index) ? null : 'other'),
    discloses: () => true,
  });
}

async function fetchTiles(
  crypto: WireCrypto,
  { reader, checkpoint }: Head,
  manifest: Pick<Manifest, 'range' | 'boundary'>,
  parts: Map<string, Uint8Array>,
): Promise<Result<TileHashes>> {
  const tiles = tilesAbove(checkpoint.size, rangesOf(manifest));
  const hashes = new TileHashes(crypto);
  for (const tile of tiles) {
    const { level, index, width } = tile;
    const bytes = await reader.files.tile(level, index, width);
    if (!bytes.ok) return bytes;
    const added = hashes.add(tile, bytes.value);
    if (!added.ok) return added;
    parts.set(tilePath(level, index, width), bytes.value);
  }
  const verified = verifyTiles(crypto, hashes, tiles, checkpoint);
  return verified.ok ? accept(hashes) : verified;
}

/** Reads the leaves of the range, checks each against the tree, and opens what is disclosed. */
class Collector {
  readonly #crypto: WireCrypto;
  readonly #head: Head;
  readonly #plan: Plan;
  readonly #request: PullRequest;
  readonly #hashes: TileHashes;
  readonly #parts: Map<string, Uint8Array>;
  #bytes = 0;
  /** Plaintext of leaf 0. */
  header: Uint8Array = new Uint8Array();

  constructor(
    crypto: WireCrypto,
    head: Head,
    planned: Plan,
    request: PullRequest,
    hashes: TileHashes,
    parts: Map<string, Uint8Array>,
  ) {
    this.#crypto = crypto;
    this.#head = head;
    this.#plan = planned;
    this.#request = request;
    this.#hashes = hashes;
    this.#parts = parts;
  }

  async collect(
    boundary: Manifest['boundary'],
  ): Promise<Result<readonly (ShownLeaf | WithheldLeaf)[]>> {
    const disclosureKey = this.#unwrap();
    if (!disclosureKey.ok) return disclosureKey;
    for (const index of [0, 1, boundary.before, boundary.after]) {
      const beside = index === null ? accept(null) : await this.#readLeaf(index);
      if (!beside.ok) return beside;
    }
    const { first, last, shows } = this.#plan;
    const leaves: (ShownLeaf | WithheldLeaf)[] = [];
    for (let index = first; index <= last; index++) {
      this.#request.onProgress(index - first, last - first + 1);
      const hash = this.#hashes.node(0, index) ?? new Uint8Array();
      // Whole bundles need not be fetched for what is not shown anyway.
      const early = shows(index, null);
      const bytes = early === null ? await this.#readLeaf(index, false) : null;
      if (bytes?.ok === false) return bytes;
      const leaf = bytes === null ? null : parseLeaf(bytes.value);
      if (leaf?.ok === false) return leaf;
      const why = early ?? shows(index, leaf?.value.kind ?? null);
      if (why !== null || leaf === null || bytes === null) {
        leaves.push({ index, hash, why: why ?? 'other' });
        continue;
      }
      const shown = await this.#show(index, bytes.value, hash, disclosureKey.value);
      if (!shown.ok) return shown;
      leaves.push(shown.value);
    }
    return accept(leaves);
  }

  #unwrap(): Result<Uint8Array | null> {
    const { keys } = this.#request;
    if (keys === null) return accept(null);
    const { wrappedDisclosureKey, origin } = this.#head.boot.header;
    return unwrapDisclosureKey(this.#crypto, wrappedDisclosureKey, keys, origin);
  }

  /** `goesAlong`: into the file as it is. */
  async #readLeaf(index: number, goesAlong = true): Promise<Result<Uint8Array>> {
    const bytes = await this.#head.reader.leaf(index);
    if (!bytes.ok) return bytes;
    const hash = this.#hashes.node(0, index) ?? new Uint8Array();
    if (!equalBytes(hash, leafHash(this.#crypto, bytes.value))) {
      return refuse('tile_mismatch', { index });
    }
    if (index === 0) {
      const leaf = parseLeaf(bytes.value);
      const opened = leaf.ok ? openLeaf(this.#crypto, leaf.value, null, null) : leaf;
      if (!opened.ok) return opened;
      this.header = opened.value.plaintext;
    }
    return goesAlong ? this.#put(leafPart(index), bytes.value) : bytes;
  }

  async #show(
    index: number,
    bytes: Uint8Array,
    hash: Uint8Array,
    disclosureKey: Uint8Array | null,
  ): Promise<Result<ShownLeaf>> {
    const parsed = parseLeaf(bytes);
    if (!parsed.ok) return parsed;
    const leaf = parsed.value;
    const put = this.#put(leafPart(index), bytes);
    if (!put.ok) return put;
    const isPrivate = leaf.body.form === 'private' || leaf.body.form === 'private-blob';
    const { origin } = this.#head.boot.header;
    const key =
      isPrivate && disclosureKey !== null && this.#plan.discloses(leaf.kind)
        ? leafKey(this.#crypto, disclosureKey, origin, index)
        : null;
    const shown: ShownLeaf = { index, bytes, hash, leaf, key, blob: null, plaintext: null };
    if (isPrivate && key === null) return accept(shown);
    const named = wantsBlob(leaf, key !== null) ? blobOf(leaf) : null;
    const fetched = named === null ? accept(null) : await this.#blob(toHex(named.hash));
    if (!fetched.ok) return fetched;
    const opened = openLeaf(this.#crypto, leaf, key, fetched.value);
    if (!opened.ok) return refuse(opened.refusal.code, { index, ...opened.refusal.detail });
    return accept({ ...shown, blob: fetched.value, plaintext: opened.value.plaintext });
  }

  async #blob(hash: string): Promise<Result<Uint8Array | null>> {
    const blob = await this.#head.reader.files.blob(hash);
    if (!blob.ok || blob.value === null) return blob;
    return this.#put(`blobs/${hash}`, blob.value);
  }

  #put(name: string, bytes: Uint8Array): Result<Uint8Array> {
    if (!this.#parts.has(name)) this.#bytes += bytes.length;
    // A copy: the bundle that it is a view of can go.
    this.#parts.set(name, bytes.slice());
    // Proofs and tables repeat what is here, in text.
    const maximum = ZIP_LIMITS.totalBytes / 4;
    return this.#bytes > maximum
      ? refuse('bundle_too_large', { bytes: this.#bytes, maximum })
      : accept(bytes);
  }
}

function redactionsOf(leaves: readonly (ShownLeaf | WithheldLeaf)[]): readonly Redaction[] {
  const redactions: Redaction[] = [];
  for (const leaf of leaves) {
    if (!('why' in leaf)) continue;
    const { index, why } = leaf;
    const before = redactions.at(-1);
    if (before?.last === index - 1 && before.why === why) {
      redactions[redactions.length - 1] = { ...before, last: index };
    } else redactions.push({ first: index, last: index, why });
  }
  return redactions;
}

function pack(
  crypto: WireCrypto,
  parts: ReadonlyMap<string, Uint8Array>,
  draft: Manifest,
): Result<Pick<MadeBundle, 'bytes' | 'manifest'>> {
  const names = [...parts].sort(([a], [b]) => (a < b ? -1 : 1));
  const total = names.reduce((sum, [, { length }]) => sum + length, 0);
  if (total > ZIP_LIMITS.totalBytes / 2 || names.length >= ZIP_LIMITS.entries) {
    return refuse('bundle_too_large', { parts: names.length, bytes: total });
  }
  const hashes = names.map(([name, bytes]) => [name, toHex(crypto.sha256(bytes))] as const);
  const manifest = { ...draft, files: Object.fromEntries(hashes) };
  const bytes = writeZip(new Map([...parts, [PART.manifest, canonicalJson(manifest)]]));
  return accept({ bytes, manifest });
}
