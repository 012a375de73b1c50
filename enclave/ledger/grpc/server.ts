// gRPC in the ledger: EnclaveService, grpc.health.v1 and grpc.reflection over byte streams whose mutual TLS ended in the
// desk. The desk says whose certificate it was. Clients are hostile within their certificate: connections, streams, control
// frames, sizes and time are bounded, and only TrackService is asked. Each connection has a server of its own.

import type { Duplex } from 'node:stream';
import type { Http2Session, ServerHttp2Stream } from 'node:http2';
import { Server, ServerCredentials, setLogVerbosity, logVerbosity } from '@grpc/grpc-js';
import { toHex } from '../../../wire/bytes.ts';
import type { RefusalCode } from '../../../wire/codes.ts';
import {
  enclaveService,
  healthService,
  reflectionAlphaService,
  reflectionService,
} from '../../../wire/grpc/services.ts';
import { accept } from '../../../wire/result.ts';
import type { Guard } from '../../fatal.ts';
import type { TrackCaller, TrackService } from '../track-service-types.ts';
import {
  healthAnswer,
  metricsAnswer,
  returnsAnswer,
  snapshotsAnswer,
  syncAnswer,
} from './answers.ts';
import type { Unary, UnaryHandler } from './calls.ts';
import { definitionOf, unaryHandler } from './calls.ts';
import { guardServer, hardenServer } from './gate.ts';
import { healthCheck, healthWatch } from './health.ts';
import {
  AGE_GRACE_MS,
  KEEPALIVE_MS,
  KEEPALIVE_TIMEOUT_MS,
  MAX_AGE_MS,
  MAX_ANSWER_BYTES,
  MAX_CONNECTIONS,
  MAX_CONNECTIONS_PER_CLIENT,
  MAX_IDLE_MS,
  MAX_REQUEST_BYTES,
  MAX_SESSION_MEGABYTES,
  MAX_STREAM_MS,
  MAX_STREAMS,
  MAX_STREAMS_PER_CLIENT,
  MAX_STREAMS_PER_CONNECTION,
  MAX_SYNC_MS,
  MAX_SYNC_STREAM_MS,
  MAX_SYNCS,
  MAX_SYNCS_PER_CLIENT,
  MAX_WATCH_MS,
} from './limits.ts';
import { Places } from './places.ts';
import { reflection } from './reflection.ts';
import { parseMetricsRequest, parseRangeRequest, parseSyncRequest } from './requests.ts';

export interface GrpcOptions {
  readonly guard: Guard;
  readonly track: TrackService;
}

const SERVICES = [enclaveService, healthService, reflectionService, reflectionAlphaService];
const PATHS: ReadonlySet<string> = new Set(
  SERVICES.flatMap(({ methods }) => Object.values(methods).map(({ path }) => path)),
);
const SYNC = enclaveService.methods.processSyncJob.path;
const STREAM_MS: ReadonlyMap<string, number> = new Map([
  [healthService.methods.watch.path, MAX_WATCH_MS],
  [SYNC, MAX_SYNC_STREAM_MS],
]);
const CANCEL = 8;

interface Connection {
  readonly server: Server;
  readonly stream: Duplex;
}

export class GrpcService {
  readonly #options: GrpcOptions;
  readonly #connections = new Map<Duplex, Connection>();
  readonly #places = new Places(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_CLIENT);
  readonly #streams = new Places(MAX_STREAMS, MAX_STREAMS_PER_CLIENT);
  readonly #syncs = new Places(MAX_SYNCS, MAX_SYNCS_PER_CLIENT);
  readonly #counters = { grpc_connections: 0, grpc_refused: 0, grpc_calls: 0, grpc_failed: 0 };
  #closed = false;

  constructor(options: GrpcOptions) {
    this.#options = options;
    // What it would log holds texts of clients.
    setLogVerbosity(logVerbosity.NONE);
  }

  get counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, grpc_streams: this.#streams.total + this.#syncs.total };
  }

  /** The clear bytes of a connection whose client holds the certificate with this SHA-256. */
  accept(stream: Duplex, certificate: Uint8Array): void {
    stream.on('error', () => undefined);
    const client = toHex(certificate);
    const release = this.#closed ? null : this.#places.take(client);
    if (release === null) {
      this.#counters.grpc_refused++;
      stream.destroy();
      return;
    }
    this.#counters.grpc_connections++;
    let session: Http2Session | undefined;
    const server = this.#serve({ certificate }, () => session?.closed ?? false);
    this.#connections.set(stream, { server, stream });
    stream.once('close', () => {
      release();
      this.#connections.delete(stream);
      server.forceShutdown();
    });
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    guardServer(server, {
      knows: (path) => PATHS.has(path),
      admit: (http2, path) => {
        session = http2.session;
        return this.#admit(http2, path, client);
      },
      refused: () => {
        this.#counters.grpc_failed++;
      },
    });
    injector.injectConnection(stream);
  }

  /** Calls under way are cut off: who waits for one asks again. */
  close(): Promise<void> {
    this.#closed = true;
    for (const { stream } of this.#connections.values()) stream.destroy();
    return Promise.resolve();
  }

  #admit(stream: ServerHttp2Stream, path: string, client: string): RefusalCode | null {
    const release = (path === SYNC ? this.#syncs : this.#streams).take(client);
    if (release === null) return 'call_limit';
    this.#counters.grpc_calls++;
    const timer = setTimeout(
      () => {
        stream.close(CANCEL);
      },
      STREAM_MS.get(path) ?? MAX_STREAM_MS,
    );
    stream.once('close', () => {
      clearTimeout(timer);
      release();
    });
    return null;
  }

  /** `isOver`: it takes no more calls. */
  #serve(caller: TrackCaller, isOver: () => boolean): Server {
    const server = new Server({
      'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
      'grpc.max_send_message_length': MAX_ANSWER_BYTES,
      'grpc.max_concurrent_streams': MAX_STREAMS_PER_CONNECTION,
      'grpc.max_connection_idle_ms': MAX_IDLE_MS,
      'grpc.max_connection_age_ms': MAX_AGE_MS,
      'grpc.max_connection_age_grace_ms': AGE_GRACE_MS,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc-node.max_session_memory': MAX_SESSION_MEGABYTES,
      'grpc.enable_channelz': 0,
    });
    hardenServer(server);
    const { guard, track } = this.#options;
    const isHealthy = (): boolean => track.health().healthy;
    server.addService(definitionOf(enclaveService.methods), this.#methods(caller));
    server.addService(definitionOf(healthService.methods), {
      check: this.#unary(healthCheck(isHealthy)),
      watch: healthWatch(isHealthy, isOver),
    });
    for (const { methods } of [reflectionService, reflectionAlphaService]) {
      server.addService(definitionOf(methods), { serverReflectionInfo: reflection(guard) });
    }
    return server;
  }

  #unary<Request extends object, Query, Answer, Response extends object>(
    unary: Unary<Request, Query, Answer, Response>,
  ): UnaryHandler {
    return unaryHandler(unary, {
      guard: this.#options.guard,
      ended: (ok) => {
        if (!ok) this.#counters.grpc_failed++;
      },
    });
  }

  #methods(
    caller: TrackCaller,
  ): Readonly<Record<keyof typeof enclaveService.methods, UnaryHandler>> {
    const { track } = this.#options;
    const { methods } = enclaveService;
    return {
      processSyncJob: this.#unary({
        method: methods.processSyncJob,
        parse: parseSyncRequest,
        ask: (query, signal) => track.syncJob(caller, query, signal),
        answer: syncAnswer,
        maxMs: MAX_SYNC_MS,
      }),
      calculateHistoricalReturns: this.#unary({
        method: methods.calculateHistoricalReturns,
        parse: parseRangeRequest,
        ask: (query, signal) => track.historicalReturns(caller, query, signal),
        answer: returnsAnswer,
      }),
      getAggregatedMetrics: this.#unary({
        method: methods.getAggregatedMetrics,
        parse: parseMetricsRequest,
        ask: (query, signal) => track.aggregatedMetrics(caller, query, signal),
        answer: metricsAnswer,
      }),
      getSnapshotTimeSeries: this.#unary({
        method: methods.getSnapshotTimeSeries,
        parse: parseRangeRequest,
        ask: (query, signal) => track.snapshotTimeSeries(caller, query, signal),
        answer: snapshotsAnswer,
      }),
      healthCheck: this.#unary({
        method: methods.healthCheck,
        parse: accept,
        ask: () => Promise.resolve(accept(track.health())),
        answer: healthAnswer,
      }),
    };
  }
}
