// One connector process, as the desk sees it: frames on a stream, one job at a time. What it sends is checked as hostile;
// a frame that does not belong ends it. Credentials are in the JOB frame alone, which is wiped when the job is over.

import type { Duplex } from 'node:stream';
import { Channel } from '../../wire/channel.ts';
import type { Frame } from '../../wire/frame.ts';
import { FIRST_CREDIT_BYTES } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import type { Job } from '../connector/job.ts';
import type { Done, Records } from '../connector/protocol.ts';
import {
  CONNECTOR_FRAME,
  FROM_CONNECTOR_TYPES,
  MAX_CONNECTOR_FRAME_BYTES,
} from '../connector/protocol.ts';
import {
  encodeBody,
  encodeFetched,
  encodeFetchFailed,
  encodeJob,
  parseCallMeaning,
  parseDone,
  parseFetch,
  parseRecords,
} from './connector-frames.ts';
import type { CallSink, JobCalls } from './calls.ts';

interface Running {
  readonly job: Job;
  readonly calls: JobCalls;
  /** False: they must not be. */
  readonly onRecords: (records: Records) => boolean;
  readonly settle: (done: Done | null) => void;
}

export class ConnectorLink {
  readonly #channel: Channel;
  readonly #onEnd: () => void;
  readonly #runAsync: (work: () => Promise<void>) => Promise<void>;
  #running: Running | null = null;
  jobs = 0;

  constructor(
    stream: Duplex,
    runAsync: (work: () => Promise<void>) => Promise<void>,
    onEnd: () => void,
  ) {
    this.#runAsync = runAsync;
    this.#onEnd = onEnd;
    this.#channel = new Channel(stream, {
      maxReceiveBytes: MAX_CONNECTOR_FRAME_BYTES,
      firstCreditBytes: FIRST_CREDIT_BYTES,
      types: FROM_CONNECTOR_TYPES,
      onFrame: (frame) => {
        if (!this.#receive(frame)) this.destroy();
      },
      onEnd: () => {
        this.destroy();
      },
    });
  }

  get alive(): boolean {
    return this.#channel.alive;
  }

  /** Null when the connector ended, was ended, or broke the protocol: nothing of the job counts. */
  async run(
    job: Job,
    calls: JobCalls,
    onRecords: (records: Records) => boolean,
  ): Promise<Done | null> {
    if (this.#running !== null) throw new Error('one job at a time');
    if (!this.alive) return null;
    this.jobs++;
    const payload = encodeJob(job);
    const { promise, resolve } = Promise.withResolvers<Done | null>();
    this.#running = { job, calls, onRecords, settle: resolve };
    this.#channel.send(CONNECTOR_FRAME.job, payload);
    const done = await promise;
    this.#running = null;
    calls.end();
    payload.fill(0);
    return done;
  }

  /** No job runs: the process ends by itself. */
  close(): void {
    void this.#channel.close().then(() => {
      this.destroy();
    });
  }

  destroy(): void {
    this.#channel.destroy({ code: 'stream_closed', detail: {} });
    this.#running?.settle(null);
    this.#onEnd();
  }

  /** False for a frame that must not be. */
  #receive({ type, payload }: Frame): boolean {
    const running = this.#running;
    if (running === null) return false;
    const { job, calls, onRecords, settle } = running;
    if (type === CONNECTOR_FRAME.fetch) {
      return takes(parseFetch(payload), (fetch) => {
        if (fetch.job !== job.id || !calls.admits(fetch)) return false;
        void this.#runAsync(() => calls.fetch(fetch, this.#sink(running)));
        return true;
      });
    }
    if (type === CONNECTOR_FRAME.records) {
      return takes(parseRecords(payload), (page) => page.job === job.id && onRecords(page));
    }
    if (type === CONNECTOR_FRAME.callClass) {
      return takes(parseCallMeaning(payload), ({ call, callClass }) => {
        calls.meaning(call, callClass);
        return true;
      });
    }
    return takes(parseDone(payload), (done) => {
      if (done.job !== job.id) return false;
      settle(done);
      return true;
    });
  }

  /** Of a job that is over, answers fall on nobody. */
  #sink(running: Running): CallSink {
    const send = (type: number, payload: Uint8Array): boolean =>
      this.#running !== running || this.#channel.send(type, payload);
    return {
      fetched: (fetched) => {
        send(CONNECTOR_FRAME.fetched, encodeFetched(fetched));
      },
      body: (body) =>
        send(CONNECTOR_FRAME.body, encodeBody(body))
          ? Promise.resolve(true)
          : this.#channel.drained(),
      failed: (failed) => {
        send(CONNECTOR_FRAME.fetchFailed, encodeFetchFailed(failed));
      },
    };
  }
}

function takes<T>(parsed: Result<T>, use: (value: T) => boolean): boolean {
  return parsed.ok && use(parsed.value);
}
