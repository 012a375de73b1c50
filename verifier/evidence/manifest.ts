// The manifest of an evidence file, and the names of its parts. Everything that it says is checked against
// the leaves, but for the reason and what it says of other epochs: these are the word of whoever made the file.
//
//   manifest.json is canonical JSON and lists the SHA-256 of every other part

import { z } from 'zod';
import { equalBytes, parseUtf8 } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { OtherEpochs } from './epoch-range.ts';
import { MAX_OTHER_EPOCHS, isConsistent } from './epoch-range.ts';
import { ZIP_LIMITS } from './zip.ts';

export const EVIDENCE_FORMAT = 'trackseal/evidence/v1';
/** Leaves of a range, shown and withheld. */
export const MAX_RANGE_LEAVES = 16_384;
/** Proof files: each repeats header and attestation. */
export const MAX_PROOFS = 2048;
const MAX_REASON_CHARACTERS = 500;
const MAX_MANIFEST_BYTES: number = 16 * 1024 * 1024;

export const PART = {
  manifest: 'manifest.json',
  readme: 'README.txt',
  attestation: 'attestation.cbor',
  header: 'epoch-header.cbor',
  configuration: 'configuration.json',
  checkpoint: 'checkpoint',
  policy: 'policy.txt',
  key: 'log.vkey',
  withheld: 'withheld.csv',
  csv: 'records.csv',
  jsonLines: 'records.jsonl',
  keys: 'leaf-keys.json',
  versions: 's3-versions.json',
} as const;

const FIXED: ReadonlySet<string> = new Set(Object.values(PART));
const NUMBERED =
  /^(?:leaves\/\d{20}\.cbor|proofs\/\d{20}\.tlog-proof|blobs\/[0-9a-f]{64}|tile\/\d{1,2}\/(?:x\d{3}\/)*\d{3}(?:\.p\/[1-9]\d{0,2})?)$/u;

/** The closed list of names: nothing absolute, no way up, no second spelling. */
export function isPartName(name: string): boolean {
  return FIXED.has(name) || NUMBERED.test(name);
}

export function leafPart(index: number): string {
  return `leaves/${String(index).padStart(20, '0')}.cbor`;
}

export function proofPart(index: number): string {
  return `proofs/${String(index).padStart(20, '0')}.tlog-proof`;
}

export type Selection =
  | { readonly by: 'time'; readonly from_ns: string; readonly to_ns: string }
  | { readonly by: 'order'; readonly order: string }
  | { readonly by: 'index'; readonly index: number };

export const WITHHELD_REASONS = ['kind', 'other'] as const;
/** `kind`: whoever made the file left this kind out; `other`: not what was asked for. */
export type WithheldReason = (typeof WITHHELD_REASONS)[number];

export interface Redaction {
  readonly first: number;
  readonly last: number;
  readonly why: WithheldReason;
}

export interface Manifest {
  readonly format: typeof EVIDENCE_FORMAT;
  readonly origin: string;
  readonly epoch: number;
  /** Of the checkpoint. */
  readonly size: number;
  readonly root: string;
  readonly selection: Selection;
  /** Every leaf from the first to the last is shown or withheld. */
  readonly range: { readonly first: number; readonly last: number };
  /** The leaves beside a range of time, shown for their times. */
  readonly boundary: { readonly before: number | null; readonly after: number | null };
  /** Private leaves whose keys are in the file. */
  readonly disclosed: readonly number[];
  readonly redactions: readonly Redaction[];
  readonly reason: string;
  /** Of a range of time; null where nobody has looked, or nothing is asked for by its time. Early files lack it. */
  readonly other_epochs?: OtherEpochs | null | undefined;
  /** SHA-256 of each part, hex, by name, ascending. */
  readonly files: Readonly<Record<string, string>>;
}

const leafIndex = z.int().min(0);
const hash = z.string().regex(/^[0-9a-f]{64}$/u);
const nanoseconds = z.string().regex(/^(?:0|[1-9]\d{0,19})$/u);
const epochNumber = z.int().min(1).max(9_999_999_999);

const otherEpochsSchema: z.ZodType<OtherEpochs> = z.strictObject({
  looked: z.enum(['all', 'neighbours']),
  touched: z
    .array(
      z.strictObject({
        epoch: epochNumber,
        first_ns: nanoseconds.nullable(),
        last_ns: nanoseconds.nullable(),
        command: z.string().max(256),
      }),
    )
    .max(MAX_OTHER_EPOCHS),
  missing: z.array(z.strictObject({ first: epochNumber, last: epochNumber })).max(MAX_OTHER_EPOCHS),
});

const schema: z.ZodType<Manifest> = z.strictObject({
  format: z.literal(EVIDENCE_FORMAT),
  origin: z.string().regex(/^[!-~]{1,96}$/u),
  epoch: z.int().min(1),
  size: z.int().min(1),
  root: hash,
  selection: z.discriminatedUnion('by', [
    z.strictObject({ by: z.literal('time'), from_ns: nanoseconds, to_ns: nanoseconds }),
    z.strictObject({ by: z.literal('order'), order: z.string().regex(/^ts[0-9a-f]{16}$/u) }),
    z.strictObject({ by: z.literal('index'), index: leafIndex }),
  ]),
  range: z.strictObject({ first: leafIndex, last: leafIndex }),
  boundary: z.strictObject({ before: leafIndex.nullable(), after: leafIndex.nullable() }),
  disclosed: z.array(leafIndex).max(MAX_RANGE_LEAVES),
  redactions: z
    .array(z.strictObject({ first: leafIndex, last: leafIndex, why: z.enum(WITHHELD_REASONS) }))
    .max(MAX_RANGE_LEAVES),
  reason: z.string().regex(new RegExp(`^[ -~]{0,${MAX_REASON_CHARACTERS}}$`, 'u')),
  other_epochs: otherEpochsSchema.nullable().optional(),
  files: z.record(z.string().max(ZIP_LIMITS.nameBytes), hash),
});

/** What a reason may be: printable ASCII, so that it can be shown anywhere. */
export function isReason(text: string): boolean {
  return text.length <= MAX_REASON_CHARACTERS && /^[ -~]*$/u.test(text);
}

/** Form and the relations inside of it. Refuses with `bundle_manifest`. */
export function parseManifest(bytes: Uint8Array): Result<Manifest> {
  const text = bytes.length > MAX_MANIFEST_BYTES ? null : parseUtf8(bytes);
  let json: unknown = null;
  try {
    json = text === null ? null : JSON.parse(text);
  } catch {
    return refuse('bundle_manifest', { what: 'not JSON' });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const field = String(parsed.error.issues[0]?.path[0] ?? '').replaceAll(/[^ -~]/gu, '?');
    return refuse('bundle_manifest', { field: field.slice(0, 64) });
  }
  if (!equalBytes(canonicalJson(json), bytes)) {
    return refuse('bundle_manifest', { what: 'not in canonical form' });
  }
  const what = findContradiction(parsed.data);
  return what === null ? accept(parsed.data) : refuse('bundle_manifest', { field: what });
}

function ascends(values: readonly number[]): boolean {
  return values.every((value, at) => at === 0 || value > (values[at - 1] ?? 0));
}

/** The field that cannot be as it is; null when all fit together. */
function findContradiction(manifest: Manifest): string | null {
  const { range, size, selection, boundary, disclosed, redactions } = manifest;
  const { first, last } = range;
  if (first > last || last >= size || last - first >= MAX_RANGE_LEAVES) return 'range';
  if (selection.by === 'index' && (selection.index !== first || first !== last)) return 'selection';
  const timed = selection.by === 'time';
  if (timed && BigInt(selection.from_ns) > BigInt(selection.to_ns)) return 'selection';
  const before = timed && first > 0 ? first - 1 : null;
  const after = timed && last + 1 < size ? last + 1 : null;
  if (boundary.before !== before || boundary.after !== after) return 'boundary';
  if (!areOthersConsistent(manifest)) return 'other_epochs';
  const inside = (index: number): boolean => index >= first && index <= last;
  if (!ascends(disclosed) || !disclosed.every(inside)) return 'disclosed';
  const ends = redactions.flatMap((one) => [one.first, one.last + 1]);
  const ordered = redactions.every(
    (one, at) =>
      one.first <= one.last &&
      inside(one.first) &&
      inside(one.last) &&
      (at === 0 || one.first >= (ends[2 * at - 1] ?? 0)),
  );
  if (!ordered) return 'redactions';
  const withheld = withheldBy(redactions);
  return disclosed.some((index) => withheld.has(index)) ? 'disclosed' : null;
}

function areOthersConsistent({ other_epochs: others = null, selection, epoch }: Manifest): boolean {
  if (others === null) return true;
  if (selection.by !== 'time') return false;
  const range = { fromNs: BigInt(selection.from_ns), toNs: BigInt(selection.to_ns) };
  return isConsistent(others, epoch, range);
}

/** Each withheld leaf, after the manifest's own form was checked. */
export function withheldBy(redactions: readonly Redaction[]): ReadonlyMap<number, WithheldReason> {
  const withheld = new Map<number, WithheldReason>();
  for (const { first, last, why } of redactions) {
    for (let index = first; index <= last; index++) withheld.set(index, why);
  }
  return withheld;
}
