// The times of a log's epochs, to choose the one of a range and to say which others it reaches into. Small
// objects where there are some (claim, close), else the first and the last bundle. Nothing is verified: a
// store can lie here, so what follows is called the word of whoever made the file. What cannot be read is
// taken for an epoch that may be of any time between its neighbours.

import { parseCommit } from '../../wire/commit.ts';
import { parseLeaf } from '../../wire/leaf.ts';
import { claimKey } from '../../wire/object-keys.ts';
import { closeKey } from '../../wire/host-keys.ts';
import { MAX_COMMIT_GROUP_BYTES } from '../../wire/objects.ts';
import { parseEpochClose } from '../../wire/epoch-close.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { EpochFiles, unsafeClaimedSize } from '../log/epoch-files.ts';
import { listEpochs } from '../log/epoch-list.ts';
import { readAhead } from '../log/read-ahead.ts';
import type { LogSource } from '../log/source.ts';
import type { OtherEpochs, TimeRange } from './epoch-range.ts';
import { MAX_OTHER_EPOCHS, overlaps, pullCommand } from './epoch-range.ts';
import type { Progress } from './find-leaves.ts';
import { LeafReader } from './find-leaves.ts';

const READ_AHEAD = 8;
/** Each way, where the source does not list. */
const MAX_NEIGHBOURS = 100;

interface Span {
  readonly firstNs: bigint;
  /** Null where it could not be read. */
  readonly lastNs: bigint | null;
}

export interface Survey {
  readonly looked: OtherEpochs['looked'];
  /** By number, ascending; null where nothing could be read. */
  readonly spans: ReadonlyMap<number, Span | null>;
}

function timeOfLeaf(bytes: Uint8Array | undefined): bigint | null {
  const leaf = bytes === undefined ? null : parseLeaf(bytes);
  return leaf?.ok === true ? leaf.value.timeNs : null;
}

/** An object's bytes, or null for whatever reason. */
async function tryRead(source: LogSource, key: string): Promise<Uint8Array | null> {
  const read = await source.read(key, MAX_COMMIT_GROUP_BYTES);
  return read.ok ? read.value : null;
}

async function timeIn(files: EpochFiles, leaf: 'first' | 'last'): Promise<bigint | null> {
  const note = await files.checkpoint();
  if (!note.ok || note.value === null) return null;
  const size = unsafeClaimedSize(note.value);
  if (!size.ok || size.value === 0) return null;
  const time = await new LeafReader(files, size.value).timeOf(
    leaf === 'first' ? 0 : size.value - 1,
  );
  return time.ok ? time.value : null;
}

async function firstTime(source: LogSource, epoch: number): Promise<bigint | null> {
  const bytes = await tryRead(source, claimKey(epoch));
  const claim = bytes === null ? null : parseCommit(bytes);
  const time = claim?.ok === true ? timeOfLeaf(claim.value.leaves[0]) : null;
  return time ?? timeIn(new EpochFiles(source, epoch), 'first');
}

async function lastTime(source: LogSource, epoch: number): Promise<bigint | null> {
  const bytes = await tryRead(source, closeKey(epoch));
  const close = bytes === null ? null : parseEpochClose(bytes);
  const time = close?.ok === true ? timeOfLeaf(close.value.lastLeaf) : null;
  return time ?? timeIn(new EpochFiles(source, epoch), 'last');
}

async function spanOf(source: LogSource, epoch: number, { toNs }: TimeRange): Promise<Span | null> {
  const firstNs = await firstTime(source, epoch);
  if (firstNs === null) return null;
  // When it ended is of no interest then.
  if (firstNs > toNs) return { firstNs, lastNs: firstNs };
  return { firstNs, lastNs: await lastTime(source, epoch) };
}

/** `asked` is where to look around when the source cannot list; refuses as its listing does. */
export async function surveyEpochs(
  source: LogSource,
  range: TimeRange,
  asked: number,
  onProgress: Progress,
): Promise<Result<Survey>> {
  const listed = await listEpochs(source);
  if (!listed.ok) return listed;
  const numbers = listed.value.filter((number) => number > 0);
  if (numbers.length === 0) {
    return accept({ looked: 'neighbours', spans: await spansAround(source, range, asked) });
  }
  const spans = new Map<number, Span | null>();
  const reads = readAhead(numbers.length, READ_AHEAD, (at) =>
    spanOf(source, numbers[at] ?? 0, range),
  );
  for await (const span of reads) {
    spans.set(numbers[spans.size] ?? 0, span);
    onProgress(spans.size, numbers.length);
  }
  return accept({ looked: 'all', spans });
}

/** Down to the first that ends before the range, up to the first that begins behind it or is not there. */
async function spansAround(
  source: LogSource,
  range: TimeRange,
  asked: number,
): Promise<ReadonlyMap<number, Span | null>> {
  const spans: [number, Span | null][] = [[asked, await spanOf(source, asked, range)]];
  for (let epoch = asked - 1; epoch > 0 && asked - epoch <= MAX_NEIGHBOURS; epoch--) {
    const span = await spanOf(source, epoch, range);
    spans.unshift([epoch, span]);
    if (span === null || (span.lastNs !== null && span.lastNs < range.fromNs)) break;
  }
  for (let epoch = asked + 1; epoch - asked <= MAX_NEIGHBOURS; epoch++) {
    const span = await spanOf(source, epoch, range);
    if (span === null) break;
    spans.push([epoch, span]);
    if (span.firstNs > range.toNs) break;
  }
  return new Map(spans);
}

/** The first epoch with a time of the range; null when none has. */
export function firstTouched({ spans }: Survey, range: TimeRange): number | null {
  for (const [epoch, span] of spans) if (span !== null && overlaps(span, range)) return epoch;
  return null;
}

/** Which epochs besides `epoch` the range touches. Refuses more than a manifest takes. */
export function otherEpochs(survey: Survey, epoch: number, range: TimeRange): Result<OtherEpochs> {
  const readable = [...survey.spans].flatMap(([number, span]) =>
    span === null ? [] : [{ number, ...span }],
  );
  const touched = readable
    .filter((one) => one.number !== epoch && overlaps(one, range))
    .map(({ number, firstNs, lastNs }) => ({
      epoch: number,
      first_ns: String(firstNs),
      last_ns: lastNs === null ? null : String(lastNs),
      command: pullCommand(number, range),
    }));
  const missing = missingRuns(survey, readable, range).filter(
    ({ first, last }) => epoch < first || epoch > last,
  );
  if (touched.length > MAX_OTHER_EPOCHS || missing.length > MAX_OTHER_EPOCHS) {
    return refuse('bundle_too_large', { epochs: touched.length, maximum: MAX_OTHER_EPOCHS });
  }
  return accept({ looked: survey.looked, touched, missing });
}

/** Numbers without a span, where the times around them leave room for the range. */
function missingRuns(
  { looked, spans }: Survey,
  readable: readonly (Span & { readonly number: number })[],
  range: TimeRange,
): OtherEpochs['missing'] {
  const numbers = [...spans.keys()];
  // Below those that were looked at without a list there may be whole ones.
  const lowest = looked === 'all' ? 1 : (numbers[0] ?? 1);
  const behind = { number: (numbers.at(-1) ?? 0) + 1, firstNs: null, lastNs: null };
  const before = { number: lowest - 1, firstNs: null, lastNs: null };
  const all = [before, ...readable, behind];
  return all.slice(1).flatMap((next, at) => {
    const { number, lastNs } = all[at] ?? before;
    const [first, last] = [number + 1, next.number - 1];
    const room = { firstNs: lastNs, lastNs: next.firstNs };
    return first <= last && overlaps(room, range) ? [{ first, last }] : [];
  });
}
