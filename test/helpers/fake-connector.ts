// A connector for tests of the desk: the real frames, and a script in place of ccxt.

import type { Duplex } from 'node:stream';
import { duplexPair } from 'node:stream';
import { Channel } from '../../wire/channel.ts';
import { FIRST_CREDIT_BYTES } from '../../wire/limits.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { CallClass } from '../../enclave/connector/classes.ts';
import type { Job } from '../../enclave/connector/job.ts';
import { parseJob } from '../../enclave/connector/parse-job.ts';
import type { Done, Fetch, FetchFailed } from '../../enclave/connector/protocol.ts';
import * as frames from '../../enclave/connector/connector-frames.ts';
import * as protocol from '../../enclave/connector/protocol.ts';
import type { ConnectorRecord, RecordKind } from '../../enclave/connector/records.ts';

export interface FakeAnswer {
  readonly call: number;
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface JobLine {
  readonly job: Job;
  /** Resolves to an answer, or to why there is none. */
  fetch(fetch: Partial<Fetch>): Promise<FakeAnswer | FetchFailed>;
  records(kind: RecordKind, records: readonly ConnectorRecord[]): void;
  meaning(call: number, callClass: CallClass): void;
  done(done?: Partial<Done>): void;
  /** Bytes of the script's own. */
  raw(type: number, payload: Uint8Array): void;
  readonly stream: Duplex;
}

export type Script = (line: JobLine) => Promise<void> | void;

export interface FakeConnectors {
  readonly spawn: () => Promise<Duplex>;
  /** All that were started; `ended` when the desk let go of it. */
  readonly started: { ended: boolean; jobs: number }[];
  script: Script;
}

export function isAnswer(result: FakeAnswer | FetchFailed): result is FakeAnswer {
  return 'status' in result;
}

interface Pending {
  head: protocol.Fetched | null;
  readonly parts: Uint8Array[];
  readonly resolve: (answer: FakeAnswer | FetchFailed) => void;
}

const { CONNECTOR_FRAME: FRAME } = protocol;

export function fakeConnectors(script: Script): FakeConnectors {
  const started: { ended: boolean; jobs: number }[] = [];
  const connectors: FakeConnectors = {
    started,
    script,
    spawn: () => {
      const [desk, own] = duplexPair();
      const entry = { ended: false, jobs: 0 };
      started.push(entry);
      serve(own, entry, (line) => connectors.script(line));
      return Promise.resolve(desk);
    },
  };
  return connectors;
}

function serve(stream: Duplex, entry: { ended: boolean; jobs: number }, script: Script): void {
  const pending = new Map<number, Pending>();
  let lastCall = 0;
  stream.on('error', () => undefined);
  const channel = new Channel(stream, {
    maxReceiveBytes: protocol.MAX_CONNECTOR_FRAME_BYTES,
    firstCreditBytes: FIRST_CREDIT_BYTES,
    types: protocol.TO_CONNECTOR_TYPES,
    onFrame: ({ type, payload }) => {
      if (type === FRAME.job) {
        entry.jobs++;
        // Taken from the bytes before they can change.
        const job = assertAccepted(parseJob(payload.slice()));
        void script(lineOf(job));
      } else if (type === FRAME.fetched) {
        const head = assertAccepted(frames.parseFetched(payload));
        const waiting = pending.get(head.call);
        if (waiting !== undefined) waiting.head = head;
      } else if (type === FRAME.body) {
        const { call, bytes, last } = assertAccepted(frames.parseBody(payload));
        pending.get(call)?.parts.push(bytes.slice());
        if (last) complete(call);
      } else if (type === FRAME.fetchFailed) {
        const failed = assertAccepted(frames.parseFetchFailed(payload));
        pending.get(failed.call)?.resolve(failed);
        pending.delete(failed.call);
      }
    },
    onEnd: () => {
      entry.ended = true;
      stream.destroy();
    },
  });

  function complete(call: number): void {
    const waiting = pending.get(call);
    pending.delete(call);
    if (waiting?.head === null || waiting === undefined) return;
    const { status, headers } = waiting.head;
    waiting.resolve({ call, status, headers, body: Buffer.concat(waiting.parts).toString() });
  }

  function lineOf(job: Job): JobLine {
    return {
      job,
      stream,
      fetch: (fetch) => {
        lastCall++;
        const call = lastCall;
        const { promise, resolve } = Promise.withResolvers<FakeAnswer | FetchFailed>();
        pending.set(call, { head: null, parts: [], resolve });
        const whole: Fetch = {
          job: job.id,
          call,
          method: 'GET',
          url: 'https://api.binance.com/api/v3/account?timestamp=1',
          headers: new Map(),
          body: null,
          weight: '20',
          attempt: 0,
          ...fetch,
        };
        channel.send(FRAME.fetch, frames.encodeFetch(whole));
        return promise;
      },
      records: (kind, records) => {
        channel.send(FRAME.records, frames.encodeRecords({ job: job.id, kind, records }));
      },
      meaning: (call, callClass) => {
        channel.send(FRAME.callClass, frames.encodeCallMeaning({ call, callClass }));
      },
      done: (done = {}) => {
        const whole: Done = {
          job: job.id,
          outcome: 'complete',
          errorClass: null,
          cursors: null,
          coverage: [],
          permissions: null,
          clockOffsetMs: null,
          ...done,
        };
        channel.send(FRAME.done, frames.encodeDone(whole));
      },
      raw: (type, payload) => {
        channel.send(type, payload);
      },
    };
  }
}
