// Calls of one client as values: a request is decoded and bounded before it is used, an answer is encoded and measured
// before it is sent, a refusal becomes a status. Work has a deadline; who gives up has their work aborted. What throws in
// here is a bug and ends the ledger; the client hears `internal`, never a text.

import type { sendUnaryData, ServerUnaryCall, ServiceDefinition } from '@grpc/grpc-js';
import { decodeMessage, encodeMessage } from '../../../wire/grpc/protobuf.ts';
import type { GrpcMethod } from '../../../wire/grpc/services.ts';
import type { Result } from '../../../wire/result.ts';
import { refuse } from '../../../wire/result.ts';
import type { Guard } from '../../fatal.ts';
import { MAX_ANSWER_BYTES, MAX_CALL_MS, MAX_REQUEST_BYTES } from './limits.ts';
import { failureOf } from './status.ts';

type Bytes = Uint8Array;
export type UnaryHandler = (
  call: ServerUnaryCall<Bytes, Bytes>,
  done: sendUnaryData<Bytes>,
) => void;

function asBuffer(bytes: Bytes): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** grpc-js carries bytes; what they mean is judged where a refusal is a value. */
export function definitionOf(
  methods: Readonly<Record<string, GrpcMethod<object, object>>>,
): ServiceDefinition {
  const entries = Object.entries(methods).map(([name, method]) => [
    name,
    {
      path: method.path,
      requestStream: method.requestStream,
      responseStream: method.responseStream,
      requestSerialize: asBuffer,
      requestDeserialize: (bytes: Buffer): Bytes => bytes,
      responseSerialize: asBuffer,
      responseDeserialize: (bytes: Buffer): Bytes => bytes,
    },
  ]);
  return Object.fromEntries(entries) as ServiceDefinition;
}

export interface Unary<Request, Query, Answer, Response> {
  readonly method: GrpcMethod<Request, Response>;
  /** The bounds of its fields. */
  readonly parse: (request: Request) => Result<Query>;
  readonly ask: (query: Query, signal: AbortSignal) => Promise<Result<Answer>>;
  readonly answer: (answer: Answer, query: Query) => Response;
  /** MAX_CALL_MS by default. */
  readonly maxMs?: number;
}

export function unaryHandler<Request extends object, Query, Answer, Response extends object>(
  unary: Unary<Request, Query, Answer, Response>,
  { guard, ended }: { readonly guard: Guard; readonly ended: (ok: boolean) => void },
): UnaryHandler {
  return (call, done) => {
    void guard.runAsync(async () => {
      let result: Result<Bytes> = refuse('internal');
      try {
        result = await answerOf(unary, call);
      } finally {
        ended(result.ok);
        if (result.ok) done(null, result.value);
        else done(failureOf(result.refusal));
      }
    });
  };
}

async function answerOf<Request extends object, Query, Answer, Response extends object>(
  { method, parse, ask, answer, maxMs }: Unary<Request, Query, Answer, Response>,
  call: ServerUnaryCall<Bytes, Bytes>,
): Promise<Result<Bytes>> {
  const request = decodeMessage(method.request, call.request, MAX_REQUEST_BYTES);
  if (!request.ok) return request;
  const query = parse(request.value);
  if (!query.ok) return query;
  const answered = await withDeadline(call, maxMs, (signal) => ask(query.value, signal));
  if (!answered.ok) return answered;
  const bytes = encodeMessage(method.response, answer(answered.value, query.value));
  return bytes.length > MAX_ANSWER_BYTES
    ? refuse('api_too_large', { bytes: bytes.length })
    : { ok: true, value: bytes };
}

/** The work goes on unseen when it does not mind its signal; its slot is the stream's. */
async function withDeadline<Answer>(
  call: ServerUnaryCall<Bytes, Bytes>,
  maxMs: number | undefined,
  work: (signal: AbortSignal) => Promise<Result<Answer>>,
): Promise<Result<Answer>> {
  const abort = new AbortController();
  const late = Promise.withResolvers<Result<Answer>>();
  const giveUp = (): void => {
    abort.abort();
    late.resolve(refuse('call_deadline'));
  };
  const deadline = call.getDeadline();
  const left = (deadline instanceof Date ? deadline.getTime() : deadline) - Date.now();
  const timer = setTimeout(giveUp, Math.max(0, Math.min(left, maxMs ?? MAX_CALL_MS)));
  call.once('cancelled', giveUp);
  try {
    return await Promise.race([work(abort.signal), late.promise]);
  } finally {
    clearTimeout(timer);
    call.off('cancelled', giveUp);
  }
}
