// The time and order index of a log: one small JSON object for each entry bundle, for finding leaves
// (docs/PROTOCOL.md section 7). It is unsigned and made of what is public, so that anybody can make it
// again from the bundle; it is worth nothing as evidence. A hostile index can only send a reader to the
// wrong bundle.

import { z } from 'zod';
import { BatchMemory, parseBatch } from './batch.ts';
import { parseUtf8, utf8 } from './bytes.ts';
import type { WireCrypto } from './crypto.ts';
import { KIND, parseLeaf } from './leaf.ts';
import type { Leaf } from './leaf.ts';
import { clientOrderIdOf } from './enclave-payloads.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';
import { leafHash } from './tlog/edge.ts';
import { TILE_WIDTH } from './tlog/tile.ts';

/** 256 outputs take 15 KiB, all instruments that a configuration can name 2 KiB. */
export const MAX_INDEX_BYTES: number = 64 * 1024;
const MAX_INSTRUMENTS = 1024;
const MILLISECOND_NS = 1_000_000n;

export interface BundleIndex {
  readonly version: 1;
  readonly epoch: number;
  /** Leaf indexes. */
  readonly first: number;
  readonly last: number;
  /** Decimal text: times of the first and the last leaf in ns. */
  readonly from_ns: string;
  readonly to_ns: string;
  /** Leaves of each kind (its number, docs/PROTOCOL.md section 5), ascending. */
  readonly kinds: Readonly<Record<string, number>>;
  /** Outputs: leaf index and client order id. */
  readonly outputs: readonly { readonly leaf: number; readonly order: string }[];
  /** Ids of instruments in public batches, ascending; the first 1,024. */
  readonly instruments: readonly number[];
}

const leafIndex = z.int().min(0);
const nanoseconds = z.string().regex(/^(?:0|[1-9]\d{0,19})$/u);
const schema: z.ZodType<BundleIndex> = z.strictObject({
  version: z.literal(1),
  epoch: z.int().min(1).max(9_999_999_999),
  first: leafIndex,
  last: leafIndex,
  from_ns: nanoseconds,
  to_ns: nanoseconds,
  kinds: z.record(z.string().regex(/^\d{1,3}$/u), z.int().min(1).max(TILE_WIDTH)),
  outputs: z
    .array(z.strictObject({ leaf: leafIndex, order: z.string().regex(/^ts[0-9a-f]{16}$/u) }))
    .max(TILE_WIDTH),
  instruments: z.array(z.int().min(0).max(65_535)).max(MAX_INSTRUMENTS),
});

export interface EncodedIndex {
  /** UTC date of the first leaf, `yyyy-mm-dd`: part of the object's name. */
  readonly day: string;
  readonly bytes: Uint8Array;
}

/** Of the leaves of one bundle, the first of which is leaf `first` of the epoch. Refuses as `parseLeaf` does. */
export function encodeBundleIndex(
  crypto: WireCrypto,
  epoch: number,
  first: number,
  leaves: readonly Uint8Array[],
  memory: BatchMemory = new BatchMemory(),
): Result<EncodedIndex> {
  const kinds = new Map<number, number>();
  const outputs: { leaf: number; order: string }[] = [];
  const instruments = new Set<number>();
  const times: bigint[] = [];
  for (const [at, bytes] of leaves.entries()) {
    const parsed = parseLeaf(bytes);
    if (!parsed.ok) return parsed;
    const { kind, timeNs } = parsed.value;
    times.push(timeNs);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    if (kind === KIND.output) {
      outputs.push({ leaf: first + at, order: clientOrderIdOf(leafHash(crypto, bytes)) });
    }
    addInstruments(instruments, parsed.value, memory);
  }
  const [from, to] = [times[0], times.at(-1)];
  if (from === undefined || to === undefined) return refuse('leaf_malformed', { leaves: 0 });
  const index: BundleIndex = {
    version: 1,
    epoch,
    first,
    last: first + leaves.length - 1,
    from_ns: from.toString(),
    to_ns: to.toString(),
    kinds: Object.fromEntries([...kinds].toSorted(([a], [b]) => a - b)),
    outputs,
    instruments: [...instruments].toSorted((a, b) => a - b).slice(0, MAX_INSTRUMENTS),
  };
  return accept({ day: dayOf(from), bytes: utf8(`${JSON.stringify(index)}\n`) });
}

/** Layout only. Refuses with `json_malformed`. */
export function parseBundleIndex(bytes: Uint8Array): Result<BundleIndex> {
  if (bytes.length > MAX_INDEX_BYTES) return refuse('json_malformed', { bytes: bytes.length });
  let value: unknown;
  try {
    value = JSON.parse(parseUtf8(bytes) ?? '');
  } catch {
    return refuse('json_malformed', { what: 'index' });
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? accept(parsed.data) : refuse('json_malformed', { what: 'index' });
}

/** A time beyond the calendar is on its last day: the leaf has it as it was. */
function dayOf(timeNs: bigint): string {
  const lastMs = BigInt(Date.UTC(9999, 11, 31));
  const ms = timeNs / MILLISECOND_NS;
  return new Date(Number(ms < lastMs ? ms : lastMs)).toISOString().slice(0, 10);
}

function addInstruments(instruments: Set<number>, leaf: Leaf, memory: BatchMemory): void {
  if (leaf.kind !== KIND.input || leaf.body.form !== 'public') return;
  const batch = parseBatch(leaf.body.plaintext, null, memory);
  if (!batch.ok) return;
  for (const instrument of batch.value.instrument) instruments.add(instrument);
  for (const instrument of batch.value.groupInstrument) instruments.add(instrument);
}
