// gRPC as its clients can write it: protobuf messages of every schema (wire/grpc/protobuf.ts), the bounds of requests, and
// bytes of HTTP/2 on a connection of the service. No input throws, ends the ledger or keeps a place.

import { once } from 'node:events';
import { connect } from 'node:http2';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { createGuard } from '../../../enclave/fatal.ts';
import {
  parseMetricsRequest,
  parseRangeRequest,
  parseSyncRequest,
} from '../../../enclave/ledger/grpc/requests.ts';
import { GrpcService } from '../../../enclave/ledger/grpc/server.ts';
import { concatBytes, utf8 } from '../../../wire/bytes.ts';
import * as messages from '../../../wire/grpc/messages.ts';
import type { MessageSchema } from '../../../wire/grpc/protobuf.ts';
import { decodeMessage, encodeMessage } from '../../../wire/grpc/protobuf.ts';
import type { GrpcMethod } from '../../../wire/grpc/services.ts';
import { enclaveService, healthService, reflectionService } from '../../../wire/grpc/services.ts';
import type { Result } from '../../../wire/result.ts';
import { FakeTrack } from '../../helpers/fake-track.ts';
import { mutateBytes, withSelector } from '../mutate/bytes.ts';
import type { Target } from '../target.ts';
import { expectThat, judge, sameValue } from '../target.ts';

const MAX_BYTES = 16 * 1024;

function isSchema(value: unknown): value is MessageSchema {
  return typeof value === 'object' && value !== null && 'fields' in value;
}
const SCHEMAS: readonly MessageSchema[] = Object.values(messages).filter((one) => isSchema(one));

/** With something in every field. */
function sampleOf({ fields }: MessageSchema, depth = 0): object {
  const values = fields.map(({ name, type, label }): readonly [string, unknown] => {
    let value: unknown = name.length % 2 === 0 ? 300 : -5;
    if (typeof type === 'function') value = depth > 3 ? null : sampleOf(type(), depth + 1);
    else if (type === 'string') value = 'kraken';
    else if (type === 'bytes') value = new Uint8Array(5).fill(7);
    else if (type === 'bool') value = true;
    if (label === 'repeated') return [name, value === null ? [] : [value, value]];
    return [name, value];
  });
  return Object.fromEntries(values);
}

function boundsOf(schema: MessageSchema, value: object): string {
  const parsers: readonly (readonly [MessageSchema, (value: never) => Result<unknown>])[] = [
    [messages.SyncJobRequestSchema, parseSyncRequest],
    [messages.HistoricalReturnsRequestSchema, parseRangeRequest],
    [messages.SnapshotTimeSeriesRequestSchema, parseRangeRequest],
    [messages.AggregatedMetricsRequestSchema, parseMetricsRequest],
  ];
  const parse = parsers.find(([known]) => known === schema)?.[1];
  return parse === undefined ? '' : judge(parse(value as never));
}

export function protobufTarget(): Target {
  return {
    name: 'protobuf',
    files: [
      'wire/grpc/protobuf.ts',
      'wire/grpc/protobuf-reader.ts',
      'enclave/ledger/grpc/requests.ts',
    ],
    maxBytes: MAX_BYTES,
    seeds: SCHEMAS.map((schema, index) =>
      concatBytes(Uint8Array.of(index), encodeMessage(schema, sampleOf(schema))),
    ),
    mutate: withSelector(SCHEMAS.length, mutateBytes),
    run: (input) => {
      const schema = SCHEMAS[(input[0] ?? 0) % SCHEMAS.length];
      if (schema === undefined) return '';
      const decoded = decodeMessage(schema, input.subarray(1), MAX_BYTES);
      if (!decoded.ok) return `${schema.name} ${judge(decoded)}`;
      // Bytes have many forms; what they say has one, and is written and read to the same.
      const written = encodeMessage(schema, decoded.value);
      const again = decodeMessage(schema, written, MAX_BYTES);
      expectThat(again.ok && sameValue(again.value, decoded.value), 'written as something else');
      return `${schema.name} ${boundsOf(schema, decoded.value)}`;
    },
  };
}

/** What a client of Node's writes for a call, without an answer. */
async function callBytes(
  path: string,
  body: Uint8Array,
  more: Readonly<Record<string, string>> = {},
): Promise<Uint8Array> {
  const [near, far] = duplexPair();
  const written: Buffer[] = [];
  far.on('data', (chunk: Buffer) => written.push(chunk));
  const session = connect('http://fuzz', { createConnection: (): Duplex => near });
  session.on('error', () => undefined);
  await once(session, 'connect');
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...more,
  });
  stream.on('error', () => undefined);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  stream.end(Buffer.concat([head, body]));
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  session.destroy();
  near.destroy();
  return Uint8Array.from(Buffer.concat(written));
}

function requestBytes({ request }: GrpcMethod<object, object>): Uint8Array {
  return encodeMessage(request, sampleOf(request));
}

/** Types of the frames that came back, and codes of what was given up. */
function framesOf(received: Buffer): string {
  const seen: string[] = [];
  for (let at = 0; at + 9 <= received.length;) {
    const type = received[at + 3] ?? 0;
    const length = received.readUIntBE(at, 3);
    const code = type === 3 || type === 7 ? received.readUInt8(at + 8 + length) : '';
    seen.push(`${String(type)}${String(code)}`);
    at += 9 + length;
  }
  return [...new Set(seen)].join(' ');
}

export async function grpcTarget(): Promise<Target> {
  const all = [enclaveService, healthService, reflectionService].flatMap(({ methods }) =>
    Object.values(methods as Readonly<Record<string, GrpcMethod<object, object>>>),
  );
  const seeds = await Promise.all([
    ...all.map((method) => callBytes(method.path, requestBytes(method))),
    callBytes('/nothing/Nothing', utf8('x')),
    callBytes(healthService.methods.check.path, utf8('x'), { 'grpc-encoding': 'gzip' }),
    callBytes(healthService.methods.check.path, new Uint8Array(0), { 'grpc-timeout': '1m' }),
  ]);
  const failed: string[] = [];
  const guard = createGuard((code) => {
    failed.push(code);
  });
  // The age that a connection may have is drawn, and Node keeps a list of timers for each until it is over: bounded, but not
  // by the end of the connection. Here all have the same.
  Math.random = () => 0.5;
  const track = new FakeTrack({ sign: () => new Uint8Array(64) });
  const service = new GrpcService({ guard, track });
  return {
    name: 'grpc',
    files: [
      'enclave/ledger/grpc/gate.ts',
      'enclave/ledger/grpc/server.ts',
      'enclave/ledger/grpc/calls.ts',
      'enclave/ledger/grpc/requests.ts',
      'enclave/ledger/grpc/reflection.ts',
    ],
    maxBytes: MAX_BYTES,
    seeds,
    mutate: mutateBytes,
    run: async (input) => {
      const [server, client] = duplexPair();
      const received: Buffer[] = [];
      client.on('error', () => undefined);
      client.on('data', (chunk: Buffer) => received.push(chunk));
      const over = once(server, 'close');
      service.accept(server, new Uint8Array(32));
      client.write(input);
      for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
      client.destroy();
      server.destroy();
      await over;
      for (let turn = 0; turn < 20 && service.counters['grpc_streams'] !== 0; turn++) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      expectThat(service.counters['grpc_streams'] === 0, 'a place that nobody gives back');
      expectThat(failed.length === 0, `the ledger ends: ${failed.join()}`);
      return framesOf(Buffer.concat(received));
    },
  };
}
