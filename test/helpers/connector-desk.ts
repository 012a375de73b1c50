// A desk for one job of a connector, with a table of answers in place of the internet. It keeps what the connector
// asked and what it said; records count only with the DONE of their job, as on the real desk.

import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import type { ErrorClass } from '../../enclave/connector/classes.ts';
import { encodeJob } from '../../enclave/desk/connector-frames.ts';
import type { Job } from '../../enclave/connector/job.ts';
import {
  CONNECTOR_FRAME,
  FROM_CONNECTOR_TYPES,
  MAX_BODY_CHUNK_BYTES,
  MAX_CONNECTOR_FRAME_BYTES,
} from '../../enclave/connector/protocol.ts';
import {
  encodeBody,
  encodeFetched,
  encodeFetchFailed,
  parseCallMeaning,
  parseDone,
  parseFetch,
  parseRecords,
} from '../../enclave/desk/connector-frames.ts';
import type { CallMeaning, Done, Fetch } from '../../enclave/connector/protocol.ts';
import type { ConnectorRecord } from '../../enclave/connector/records.ts';
import { serveConnector } from '../../enclave/connector/serve.ts';
import { utf8 } from '../../wire/bytes.ts';
import { Channel } from '../../wire/channel.ts';
import type { Frame } from '../../wire/frame.ts';
import { FIRST_CREDIT_BYTES } from '../../wire/limits.ts';
import { assertAccepted } from '../../wire/result.ts';

export interface Reply {
  readonly status?: number;
  /** Encoded as JSON unless it is a text. */
  readonly body: unknown;
}

export interface Failure {
  readonly failed: ErrorClass;
  readonly retryAfterMs?: number;
}

export interface Asked {
  readonly fetch: Fetch;
  readonly url: URL;
  /** Query, or the form in the body. */
  readonly query: URLSearchParams;
}

export type Internet = (asked: Asked) => Reply | Failure | Promise<Reply | Failure>;

export interface Outcome {
  readonly done: Done;
  readonly records: readonly ConnectorRecord[];
  readonly asked: readonly Asked[];
  readonly meanings: readonly CallMeaning[];
}

export const START_MS: number = Date.UTC(2026, 10, 2);

export function jobOf(venue: Job['venue'], change: Partial<Job> = {}): Job {
  return {
    id: 1,
    kind: 'poll',
    venue,
    settings: {
      accountType: 'spot',
      environment: 'live',
      label: 'main',
      allowTrading: false,
      symbols: [],
    },
    credentials: { apiKey: utf8('key'), secret: utf8('c2VjcmV0'), passphrase: utf8('pass') },
    cursors: null,
    fromMs: START_MS,
    reads: 'on',
    nowMs: START_MS + 300_000,
    priority: 1,
    budget: { calls: 2000, retries: 0, deadlineMs: 60_000 },
    prices: [],
    ...change,
  };
}

function sendReply(channel: Channel, call: number, { status = 200, body }: Reply): void {
  const bytes = utf8(typeof body === 'string' ? body : JSON.stringify(body));
  const more = bytes.length > 0;
  channel.send(
    CONNECTOR_FRAME.fetched,
    encodeFetched({ call, status, headers: new Map([['content-type', 'application/json']]), more }),
  );
  for (let at = 0; at < bytes.length; at += MAX_BODY_CHUNK_BYTES) {
    const end = Math.min(at + MAX_BODY_CHUNK_BYTES, bytes.length);
    const chunk = bytes.subarray(at, end);
    const last = end === bytes.length;
    channel.send(CONNECTOR_FRAME.body, encodeBody({ call, bytes: chunk, last }));
  }
}

/** Over a stream whose other end a connector serves. */
export function runJobOver(stream: Duplex, job: Job, internet: Internet): Promise<Outcome> {
  const records: ConnectorRecord[] = [];
  const asked: Asked[] = [];
  const meanings: CallMeaning[] = [];
  return new Promise((resolve, reject) => {
    const channel = new Channel(stream, {
      maxReceiveBytes: MAX_CONNECTOR_FRAME_BYTES,
      firstCreditBytes: FIRST_CREDIT_BYTES,
      types: FROM_CONNECTOR_TYPES,
      onEnd: (refusal) => {
        reject(new Error(`the connector ended: ${JSON.stringify(refusal)}`));
      },
      onFrame: (frame) => {
        try {
          receive(frame);
        } catch (error) {
          reject(error);
        }
      },
    });
    const receive = ({ type, payload }: Frame): void => {
      if (type === CONNECTOR_FRAME.fetch) {
        const fetch = assertAccepted(parseFetch(payload));
        const url = new URL(fetch.url);
        const form = fetch.body === null ? null : Buffer.from(fetch.body).toString('utf8');
        const query = form === null ? url.searchParams : new URLSearchParams(form);
        const question = { fetch, url, query };
        asked.push(question);
        void Promise.resolve(internet(question)).then((reply) => {
          if ('failed' in reply) {
            const { failed, retryAfterMs = null } = reply;
            const bytes = encodeFetchFailed({
              call: fetch.call,
              errorClass: failed,
              retryAfterMs,
            });
            channel.send(CONNECTOR_FRAME.fetchFailed, bytes);
          } else sendReply(channel, fetch.call, reply);
        });
      } else if (type === CONNECTOR_FRAME.records) {
        records.push(...assertAccepted(parseRecords(payload)).records);
      } else if (type === CONNECTOR_FRAME.callClass) {
        meanings.push(assertAccepted(parseCallMeaning(payload)));
      } else {
        resolve({ done: assertAccepted(parseDone(payload)), records, asked, meanings });
      }
    };
    channel.send(CONNECTOR_FRAME.job, encodeJob(job));
  });
}

/** In this process. */
export async function runJob(job: Job, internet: Internet): Promise<Outcome> {
  const [desk, connector] = duplexPair();
  let bug = false;
  serveConnector(connector, (isBug) => {
    bug = isBug;
    desk.destroy();
  });
  try {
    return await runJobOver(desk, job, internet);
  } catch (error) {
    throw bug ? new Error('the connector has a bug', { cause: error }) : error;
  } finally {
    desk.destroy();
  }
}

/** By path; a list is one answer after the other, the last one for good. Anything else is not there. */
export function routes(
  table: Readonly<Record<string, (asked: Asked) => Reply | Failure>>,
): Internet {
  return (asked) =>
    table[asked.url.pathname]?.(asked) ?? { status: 404, body: { code: -1, msg: 'no such path' } };
}
