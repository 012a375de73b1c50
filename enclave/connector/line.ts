// The connector's only way out: frames to the desk on the stream that it was started with. A call is a FETCH and
// its answer; whoever makes records waits until there is room for them. What the desk sends is checked like
// anything else, though it is trusted: a bug there should end here with a code.

import { concatBytes } from '../../wire/bytes.ts';
import type { ByteStream } from '../../wire/channel.ts';
import { Channel } from '../../wire/channel.ts';
import type { Frame } from '../../wire/frame.ts';
import { FIRST_CREDIT_BYTES } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { CallError } from './call-error.ts';
import type { CallClass } from './classes.ts';
import type { Job } from './job.ts';
import { parseJob } from './parse-job.ts';
import type { Done, Fetch, Fetched } from './protocol.ts';
import {
  CONNECTOR_FRAME,
  MAX_ANSWER_BYTES,
  MAX_CONNECTOR_FRAME_BYTES,
  TO_CONNECTOR_TYPES,
} from './protocol.ts';
import {
  encodeCallMeaning,
  encodeDone,
  encodeFetch,
  encodeRecords,
  parseBody,
  parseFetched,
  parseFetchFailed,
} from './connector-frames.ts';
import type { ConnectorRecord, RecordKind } from './records.ts';

export interface Answer {
  readonly call: number;
  readonly status: number;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
}

export type Question = Omit<Fetch, 'call' | 'job'>;

interface Pending {
  head: Fetched | null;
  parts: Uint8Array[];
  bytes: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: CallError) => void;
}

export interface LineHandlers {
  readonly onJob: (job: Job) => void;
  /** The desk is gone, or broke the protocol: the process has nothing left to do. */
  readonly onEnd: () => void;
}

export class Line {
  readonly #channel: Channel;
  readonly #handlers: LineHandlers;
  readonly #pending = new Map<number, Pending>();
  #lastCall = 0;

  constructor(stream: ByteStream, handlers: LineHandlers) {
    this.#handlers = handlers;
    this.#channel = new Channel(stream, {
      maxReceiveBytes: MAX_CONNECTOR_FRAME_BYTES,
      firstCreditBytes: FIRST_CREDIT_BYTES,
      types: TO_CONNECTOR_TYPES,
      onFrame: (frame) => {
        this.#receive(frame);
      },
      onEnd: () => {
        this.dropCalls();
        handlers.onEnd();
      },
    });
  }

  /** Rejects with a CallError; an answer of any status resolves. */
  call(job: number, question: Question): Promise<Answer> {
    const call = ++this.#lastCall;
    return new Promise((resolve, reject) => {
      this.#pending.set(call, { head: null, parts: [], bytes: 0, resolve, reject });
      this.#channel.send(CONNECTOR_FRAME.fetch, encodeFetch({ ...question, job, call }));
    });
  }

  /** Resolves when there is room for the next page. */
  async records(job: number, kind: RecordKind, records: readonly ConnectorRecord[]): Promise<void> {
    const payload = encodeRecords({ job, kind, records });
    if (!this.#channel.send(CONNECTOR_FRAME.records, payload)) await this.#channel.drained();
  }

  meaning(call: number, callClass: CallClass): void {
    this.#channel.send(CONNECTOR_FRAME.callClass, encodeCallMeaning({ call, callClass }));
  }

  done(done: Done): void {
    this.#channel.send(CONNECTOR_FRAME.done, encodeDone(done));
  }

  /** Of a job that is over: late answers fall on nobody. */
  dropCalls(): void {
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of waiting) reject(new CallError('network'));
  }

  #receive({ type, payload }: Frame): void {
    if (type === CONNECTOR_FRAME.job) this.#take(parseJob(payload), this.#handlers.onJob);
    else if (type === CONNECTOR_FRAME.fetched) {
      this.#take(parseFetched(payload), (head) => {
        const pending = this.#pending.get(head.call);
        if (pending === undefined) return;
        pending.head = head;
        if (!head.more) this.#complete(head.call, pending);
      });
    } else if (type === CONNECTOR_FRAME.body) {
      this.#take(parseBody(payload), ({ call, bytes, last }) => {
        this.#addBody(call, bytes, last);
      });
    } else {
      this.#take(parseFetchFailed(payload), ({ call, errorClass, retryAfterMs }) => {
        const pending = this.#pending.get(call);
        this.#pending.delete(call);
        pending?.reject(new CallError(errorClass, retryAfterMs));
      });
    }
  }

  #take<T>(parsed: Result<T>, use: (value: T) => void): void {
    if (parsed.ok) use(parsed.value);
    else this.#channel.destroy(parsed.refusal);
  }

  #addBody(call: number, bytes: Uint8Array, last: boolean): void {
    const pending = this.#pending.get(call);
    if (pending === undefined) return;
    pending.parts.push(bytes);
    pending.bytes += bytes.length;
    if (pending.bytes > MAX_ANSWER_BYTES) {
      this.#pending.delete(call);
      pending.reject(new CallError('too_large'));
    } else if (last) this.#complete(call, pending);
  }

  #complete(call: number, { head, parts, resolve }: Pending): void {
    this.#pending.delete(call);
    if (head === null) return;
    const body = concatBytes(...parts);
    resolve({ call, status: head.status, headers: head.headers, body });
  }
}
