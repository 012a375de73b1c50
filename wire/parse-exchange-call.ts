// An exchange_call leaf, read: by whoever may open it. The layout, and the enclave's half, is in exchange-call.ts.

import type { RefusalCode } from './codes.ts';
import { REFUSAL_CODES } from './codes.ts';
import type { ExchangeCall, ExchangePoll, Outcome, Trigger } from './exchange-call.ts';
import {
  matching,
  MAX_PATH_CHARACTERS,
  MAX_POLL_BYTES,
  MAX_POLL_CALLS,
  MAX_POLL_COVERAGE,
  OUTCOME,
  readCoverage,
  readEnvironment,
  TRIGGER,
  word,
} from './exchange-call.ts';
import type { Fields } from './fields.ts';
import { parseFields } from './fields.ts';
import type { Result } from './result.ts';

const MAX_HOST_CHARACTERS = 253;

const METHOD = /^[A-Z]{1,16}$/u;

const WEIGHT = /^[0-9]{1,12}(?:\.[0-9]{1,6})?$/u;

/** Refuses `message_malformed` and the codes of CBOR. */
export function parseExchangePoll(bytes: Uint8Array): Result<ExchangePoll> {
  return parseFields('exchange_call', bytes, MAX_POLL_BYTES, (fields): ExchangePoll => {
    const poll: ExchangePoll = {
      accountCommitment: fields.bytes(1, 32),
      venue: word(fields, 2),
      environment: readEnvironment(fields, 3),
      scheduledNs: fields.uint64(4),
      startedNs: fields.uint64(5),
      endedNs: fields.uint64(6),
      outcome: fields.uint(7, OUTCOME.missed) as Outcome,
      refusal: refusalCode(fields, 8),
      trigger: fields.uint(9, TRIGGER.prices) as Trigger,
      calls: fields.maps(10, MAX_POLL_CALLS, readCall),
      coverage: fields.maps(11, MAX_POLL_COVERAGE, readCoverage),
    };
    const { outcome } = poll;
    if (poll.endedNs < poll.startedNs) fields.refuse(6);
    // What did not happen has made no call, and what is whole has no code.
    if (outcome === OUTCOME.missed && poll.calls.length > 0) fields.refuse(10);
    if ((outcome === OUTCOME.complete) !== (poll.refusal === null)) fields.refuse(8);
    return poll;
  });
}

function readCall(fields: Fields): ExchangeCall {
  const call: ExchangeCall = {
    host: fields.text(1, MAX_HOST_CHARACTERS),
    tlsName: fields.text(2, MAX_HOST_CHARACTERS),
    spkiHash: fields.bytesOrNull(3, 32),
    method: matching(fields, 4, METHOD),
    path: fields.text(5, MAX_PATH_CHARACTERS),
    requestDigest: fields.bytes(6, 32),
    responseDigest: fields.bytesOrNull(7, 32),
    status: fields.uintOrNull(8, 999),
    startNs: fields.uint64(9),
    endNs: fields.uint64(10),
    weight: matching(fields, 11, WEIGHT),
    attempt: fields.uint(12, 1000, 1),
    class: word(fields, 13),
  };
  if (call.endNs < call.startNs) fields.refuse(10);
  return call;
}

function refusalCode(fields: Fields, field: number): RefusalCode | null {
  const text = fields.textOrNull(field, 64);
  if (text === null) return null;
  return Object.hasOwn(REFUSAL_CODES, text) ? (text as RefusalCode) : fields.refuse(field);
}
