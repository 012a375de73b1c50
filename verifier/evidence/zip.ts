// The container of an evidence file: a plain ZIP, so that everybody can open it, written the same for the
// same contents. The reader takes only what the writer makes: one form, so that no two programs see
// different files in it. Hostile archives are refused before anything is allocated for their claims.
//
//   (local header | name | data)…, without holes, in the order of their names | central directory | end record
//   no comments, extra fields, encryption, data descriptors, ZIP64, attributes; stored or deflated; 1980-01-01

import { crc32, inflateRawSync } from 'node:zlib';
import { zipSync } from 'fflate';
import type { Zippable } from 'fflate';
import type { RefusalDetail, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

const MIB = 1_048_576;

export const ZIP_LIMITS: Readonly<
  Record<
    | 'fileBytes'
    | 'entries'
    | 'entryBytes'
    | 'totalBytes'
    | 'ratio'
    | 'smallEntryBytes'
    | 'nameBytes',
    number
  >
> = {
  fileBytes: 256 * MIB,
  entries: 40_000,
  /** Of one entry, unpacked. */
  entryBytes: 64 * MIB,
  /** Of all entries, unpacked. */
  totalBytes: 512 * MIB,
  /** Unpacked to packed; beyond a small entry nothing of ours comes near. */
  ratio: 256,
  smallEntryBytes: 64 * 1024,
  nameBytes: 128,
};

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const [LOCAL_BYTES, CENTRAL_BYTES, END_BYTES] = [30, 46, 22] as const;
/** Whole seconds of 1980-01-01 00:00:00 in the format of DOS. */
const DOS_TIME = 0x00210000;
const [STORED, DEFLATED] = [0, 8] as const;

export type ZipFiles = ReadonlyMap<string, Uint8Array>;

/** Sorted by name; the same bytes for the same files, on every machine. */
export function writeZip(files: ZipFiles): Uint8Array {
  const zippable: Zippable = {};
  // The date is local: midnight here is midnight in the file, wherever this runs.
  const mtime = new Date(1980, 0, 1);
  for (const [name, bytes] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    zippable[name] = [bytes, { level: bytes.length === 0 ? 0 : 6, mtime, os: 0 }];
  }
  return zipSync(zippable);
}

interface Entry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly offset: number;
}

function malformed(what: string, detail: RefusalDetail = {}): Result<never> {
  return refuse('bundle_zip_malformed', { what, ...detail });
}

/** `isKnown` says which names there may be; others are refused (`bundle_name`), whatever they point to. */
export function readZip(bytes: Uint8Array, isKnown: (name: string) => boolean): Result<ZipFiles> {
  if (bytes.length > ZIP_LIMITS.fileBytes) {
    return refuse('bundle_too_large', { bytes: bytes.length, maximum: ZIP_LIMITS.fileBytes });
  }
  if (bytes.length < END_BYTES) return malformed('too short');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const listed = readDirectory(bytes, view, isKnown);
  if (!listed.ok) return listed;
  const files = new Map<string, Uint8Array>();
  for (const entry of listed.value) {
    const unpacked = unpack(bytes, entry);
    if (!unpacked.ok) return unpacked;
    files.set(entry.name, unpacked.value);
  }
  return accept(files);
}

/** Central directory and local headers, which must say the same, and lie one behind the other. */
function readDirectory(
  bytes: Uint8Array,
  view: DataView,
  isKnown: (name: string) => boolean,
): Result<readonly Entry[]> {
  const end = bytes.length - END_BYTES;
  if (view.getUint32(end, true) !== END) return malformed('no end record at the end');
  const count = view.getUint16(end + 10, true);
  const begin = view.getUint32(end + 16, true);
  // Disks, entries of this disk, and the comment's length.
  const disks = view.getUint32(end + 4, true);
  const plain = disks === 0 && view.getUint16(end + 8, true) === count;
  if (!plain || view.getUint16(end + 20, true) !== 0) return malformed('end record');
  if (count === 0 || count > ZIP_LIMITS.entries) {
    return refuse('bundle_too_large', { entries: count, maximum: ZIP_LIMITS.entries });
  }
  if (begin + view.getUint32(end + 12, true) !== end) return malformed('central directory');
  const entries: Entry[] = [];
  let [at, offset, total] = [begin, 0, 0];
  for (let index = 0; index < count; index++) {
    const entry = readCentral(bytes, view, at, end);
    if (!entry.ok) return entry;
    const { name, size } = entry.value;
    // Safe to show: only printable ASCII gets this far.
    if (!isKnown(name)) return refuse('bundle_name', { name });
    const before = entries.at(-1)?.name;
    if (before !== undefined && before >= name) {
      return before === name
        ? refuse('bundle_name', { name, what: 'twice' })
        : malformed('order of names', { name });
    }
    total += size;
    if (total > ZIP_LIMITS.totalBytes) {
      return refuse('bundle_too_large', { what: 'unpacked', maximum: ZIP_LIMITS.totalBytes });
    }
    if (entry.value.offset !== offset) return malformed('hole or overlap', { name });
    const placed = checkLocal(bytes, view, entry.value, begin);
    if (!placed.ok) return placed;
    offset += LOCAL_BYTES + name.length + entry.value.packed;
    at += CENTRAL_BYTES + name.length;
    entries.push(entry.value);
  }
  return at === end && offset === begin ? accept(entries) : malformed('bytes between the parts');
}

function readCentral(bytes: Uint8Array, view: DataView, at: number, end: number): Result<Entry> {
  if (at + CENTRAL_BYTES > end || view.getUint32(at, true) !== CENTRAL) {
    return malformed('central directory');
  }
  const nameBytes = view.getUint16(at + 28, true);
  if (nameBytes > ZIP_LIMITS.nameBytes) return malformed('name', { bytes: nameBytes });
  if (at + CENTRAL_BYTES + nameBytes > end) return malformed('central directory');
  const name = nameAt(bytes, at + CENTRAL_BYTES, nameBytes);
  if (name === null) return malformed('name');
  const entry: Entry = {
    name,
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    packed: view.getUint32(at + 20, true),
    size: view.getUint32(at + 24, true),
    offset: view.getUint32(at + 42, true),
  };
  const flags = view.getUint16(at + 8, true);
  // Extra field, comment and disk; then attributes, which could make a link of a file.
  const plain = view.getUint32(at + 30, true) === 0 && view.getUint32(at + 34, true) === 0;
  const attributes = view.getUint32(at + 38, true);
  const time = view.getUint32(at + 12, true);
  if (flags !== 0 || !plain || attributes !== 0 || time !== DOS_TIME) {
    return malformed('flags, fields or attributes', { name });
  }
  return checkSizes(entry);
}

function checkSizes(entry: Entry): Result<Entry> {
  const { name, method, packed, size } = entry;
  if (method !== STORED && method !== DEFLATED) return malformed('method', { name });
  if (method === STORED && packed !== size) return malformed('sizes', { name });
  const most = Math.max(ZIP_LIMITS.smallEntryBytes, packed * ZIP_LIMITS.ratio);
  if (size > ZIP_LIMITS.entryBytes || size > most) {
    return refuse('bundle_too_large', { name, packed, bytes: size });
  }
  return accept(entry);
}

/** The fields of a local header: version, flags, method, time, CRC, sizes, length of the name, no extra field. */
function checkLocal(
  bytes: Uint8Array,
  view: DataView,
  entry: Entry,
  directory: number,
): Result<null> {
  const { name, method, crc, packed, size, offset } = entry;
  const data = offset + LOCAL_BYTES + name.length;
  if (data + packed > directory) return malformed('data', { name });
  const same =
    view.getUint32(offset, true) === LOCAL &&
    view.getUint16(offset + 6, true) === 0 &&
    view.getUint16(offset + 8, true) === method &&
    view.getUint32(offset + 10, true) === DOS_TIME &&
    view.getUint32(offset + 14, true) === crc &&
    view.getUint32(offset + 18, true) === packed &&
    view.getUint32(offset + 22, true) === size &&
    view.getUint16(offset + 26, true) === name.length &&
    view.getUint16(offset + 28, true) === 0 &&
    nameAt(bytes, offset + LOCAL_BYTES, name.length) === name;
  return same ? accept(null) : malformed('local header', { name });
}

function nameAt(bytes: Uint8Array, at: number, length: number): string | null {
  const name = Buffer.from(bytes.subarray(at, at + length)).toString('latin1');
  return /^[!-~]+$/u.test(name) ? name : null;
}

function unpack(bytes: Uint8Array, entry: Entry): Result<Uint8Array> {
  const { name, method, crc, packed, size } = entry;
  const begin = entry.offset + LOCAL_BYTES + name.length;
  const data = bytes.subarray(begin, begin + packed);
  const unpacked = method === STORED ? data : inflate(data, size);
  if (unpacked?.length !== size || crc32(unpacked) !== crc) return malformed('data', { name });
  return accept(unpacked);
}

interface Inflated {
  readonly buffer: Uint8Array;
  /** `bytesWritten` is what it has taken of the input. */
  readonly engine: { readonly bytesWritten: number };
}

/** Null unless all of `data` is one stream of at most `size` bytes. Not by the package that has packed it. */
function inflate(data: Uint8Array, size: number): Uint8Array | null {
  try {
    const options = { maxOutputLength: Math.max(1, size), info: true };
    const { buffer, engine } = inflateRawSync(data, options) as unknown as Inflated;
    return engine.bytesWritten === data.length ? new Uint8Array(buffer) : null;
  } catch {
    return null;
  }
}
