// Batches and declared gaps become leaves here, in the order in which they came. Per stream the batch
// sequence has no holes that the log does not name: a jump, a declared drop and a refused batch each
// leave a gap leaf. What is replayed or goes back is refused and leaves nothing, for nothing is missing.
// A host can invent prices under its label; it cannot make data disappear without a trace.

import { BatchMemory, parseBatch } from '../wire/batch.ts';
import type { Batch } from '../wire/batch.ts';
import type { RefusalCode } from '../wire/codes.ts';
import type { Configuration } from '../wire/configuration.ts';
import { sourceVenueOf } from '../wire/configuration.ts';
import type { Label } from '../wire/leaf.ts';
import { KIND, LABEL } from '../wire/leaf.ts';
import { parseDeclaredGap } from '../wire/enclave-messages.ts';
import type { Refused } from '../wire/enclave-messages.ts';
import type { Gap } from '../wire/enclave-payloads.ts';
import { encodeGap, GAP } from '../wire/enclave-payloads.ts';
import { SequenceTracker } from '../wire/market/sequence.ts';
import { peekBatch } from './batch-head.ts';
import type { LogWriter } from './log/writer.ts';
import type { BatchInWork, Releases } from './release.ts';
import type { Strategies } from './strategies.ts';

export interface InputServices {
  readonly log: LogWriter;
  readonly releases: Releases;
  readonly strategies: Strategies;
}

interface InputStream {
  readonly id: number;
  readonly label: Label;
  /** Sequence of the next batch. */
  expected: number;
  lastTimeNs: bigint;
}

const NONE: ReadonlySet<number> = new Set();

function gapOf(reason: Gap['reason'], firstMissing: number, count: number | null): Gap {
  return { reason, firstMissing, count, instrument: null, code: null };
}

export class Inputs {
  readonly #services: InputServices;
  readonly #streams: ReadonlyMap<number, InputStream>;
  /** What may come under a label: the host has no say about what the enclave fetches itself. */
  readonly #instruments: ReadonlyMap<Label, ReadonlySet<number>>;
  readonly #tracker: SequenceTracker;
  readonly #memory = new BatchMemory();
  readonly #counters = { batches: 0, rows: 0, refused: 0, gaps: 0 };

  constructor(services: InputServices, configuration: Configuration) {
    this.#services = services;
    this.#streams = new Map(
      configuration.streams.map(({ id, source }) => {
        const label = source === undefined ? LABEL.host : LABEL.tls;
        return [id, { id, label, expected: 0, lastTimeNs: 0n }];
      }),
    );
    const fetched = new Set(configuration.streams.map(({ source }) => source?.venue));
    const idsOf = (isFetched: boolean): ReadonlySet<number> =>
      new Set(
        configuration.instruments
          .filter((one) => fetched.has(sourceVenueOf(one)) === isFetched)
          .map(({ id }) => id),
      );
    this.#instruments = new Map<Label, ReadonlySet<number>>([
      [LABEL.host, idsOf(false)],
      [LABEL.tls, idsOf(true)],
    ]);
    this.#tracker = new SequenceTracker(configuration.instruments);
  }

  get counters(): Readonly<Record<string, number>> {
    return this.#counters;
  }

  /** A BATCH payload. Answers what the host must hear, or null. */
  takeBatch(payload: Uint8Array, label: Label): Refused | null {
    const parsed = parseBatch(payload, this.#instruments.get(label) ?? NONE, this.#memory);
    const head = parsed.ok ? parsed.value : peekBatch(payload);
    const stream = head === null ? undefined : this.#streamOf(head.stream, label);
    if (head === null || stream === undefined) {
      // No stream of ours misses anything, so there is no leaf to leave.
      const code = parsed.ok || head !== null ? 'stream_unknown' : parsed.refusal.code;
      return this.#refuse(code, head?.stream ?? null, head?.sequence ?? null);
    }
    const { sequence } = head;
    if (sequence < stream.expected) return this.#refuse('batch_replayed', stream.id, sequence);
    this.#skipTo(stream, sequence);
    if (!parsed.ok) return this.#refuseBatch(stream, sequence, parsed.refusal.code);
    if (parsed.value.timeNs < stream.lastTimeNs) {
      return this.#refuseBatch(stream, sequence, 'batch_out_of_order');
    }
    this.#accept(stream, parsed.value, payload);
    return null;
  }

  /** A GAP payload: what the host has dropped. */
  takeGap(payload: Uint8Array, label: Label): Refused | null {
    const parsed = parseDeclaredGap(payload);
    if (!parsed.ok) return this.#refuse(parsed.refusal.code, null, null);
    const { stream: id, firstMissing, batches } = parsed.value;
    const stream = this.#streamOf(id, label);
    if (stream === undefined) return this.#refuse('stream_unknown', id, firstMissing);
    if (firstMissing < stream.expected) return this.#refuse('batch_replayed', id, firstMissing);
    const next = firstMissing + batches;
    if (!Number.isSafeInteger(next)) return this.#refuse('message_malformed', id, firstMissing);
    this.#skipTo(stream, firstMissing);
    this.#logGap(stream, gapOf(GAP.declared, firstMissing, batches), []);
    stream.expected = next;
    return null;
  }

  /** Who sends has streams of their own: the host those without a source, our tap the others. */
  #streamOf(id: number, label: Label): InputStream | undefined {
    const stream = this.#streams.get(id);
    return stream?.label === label ? stream : undefined;
  }

  #accept(stream: InputStream, batch: Batch, payload: Uint8Array): void {
    const { log, releases, strategies } = this.#services;
    const { sequence, timeNs } = batch;
    stream.expected = sequence + 1;
    stream.lastTimeNs = timeNs;
    const { index: leafIndex } = log.append({
      kind: KIND.input,
      stream: stream.id,
      label: stream.label,
      causes: [],
      plaintext: payload,
    });
    const inWork: BatchInWork = {
      stream: stream.id,
      sequence,
      leafIndex,
      neededSize: leafIndex + 1,
      strategiesWaiting: 0,
    };
    for (const gap of this.#tracker.apply(batch)) {
      inWork.neededSize = this.#logGap(stream, gap, [leafIndex]) + 1;
    }
    releases.addBatch(inWork);
    strategies.input(inWork, timeNs, payload);
    this.#counters.batches++;
    this.#counters.rows += batch.rows;
  }

  /** Names what is missing before `sequence`, if anything is. */
  #skipTo(stream: InputStream, sequence: number): void {
    if (sequence === stream.expected) return;
    const count = sequence - stream.expected;
    this.#logGap(stream, gapOf(GAP.skipped, stream.expected, count), []);
    stream.expected = sequence;
  }

  /** The batch counts as lost: the next one continues after it. */
  #refuseBatch(stream: InputStream, sequence: number, code: RefusalCode): Refused {
    this.#logGap(stream, { ...gapOf(GAP.refused, sequence, 1), code }, []);
    stream.expected = sequence + 1;
    return this.#refuse(code, stream.id, sequence);
  }

  #refuse(code: RefusalCode, stream: number | null, sequence: number | null): Refused {
    this.#counters.refused++;
    return { code, stream, sequence };
  }

  #logGap({ id, label }: InputStream, gap: Gap, causes: readonly number[]): number {
    this.#counters.gaps++;
    const plaintext = encodeGap(gap);
    const { log } = this.#services;
    return log.append({ kind: KIND.gap, stream: id, label, causes, plaintext }).index;
  }
}
