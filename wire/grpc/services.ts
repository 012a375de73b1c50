// Made by scripts/grpc-codecs.ts from wire/grpc/proto; do not edit.

import type {
  AggregatedMetricsRequest,
  AggregatedMetricsResponse,
  HealthCheckRequest,
  HealthCheckResponse,
  HistoricalReturnsRequest,
  HistoricalReturnsResponse,
  ServerReflectionRequest,
  ServerReflectionResponse,
  SnapshotTimeSeriesRequest,
  SnapshotTimeSeriesResponse,
  StandardHealthCheckRequest,
  StandardHealthCheckResponse,
  SyncJobRequest,
  SyncJobResponse,
} from './messages.ts';
import {
  AggregatedMetricsRequestSchema,
  AggregatedMetricsResponseSchema,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HistoricalReturnsRequestSchema,
  HistoricalReturnsResponseSchema,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
  SnapshotTimeSeriesRequestSchema,
  SnapshotTimeSeriesResponseSchema,
  StandardHealthCheckRequestSchema,
  StandardHealthCheckResponseSchema,
  SyncJobRequestSchema,
  SyncJobResponseSchema,
} from './messages.ts';
import type { MessageSchema } from './protobuf.ts';

export interface GrpcMethod<Request, Response> {
  readonly path: string;
  readonly request: MessageSchema<Request>;
  readonly response: MessageSchema<Response>;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

export const enclaveService: {
  readonly name: string;
  readonly methods: {
    readonly processSyncJob: GrpcMethod<SyncJobRequest, SyncJobResponse>;
    readonly calculateHistoricalReturns: GrpcMethod<
      HistoricalReturnsRequest,
      HistoricalReturnsResponse
    >;
    readonly getAggregatedMetrics: GrpcMethod<AggregatedMetricsRequest, AggregatedMetricsResponse>;
    readonly getSnapshotTimeSeries: GrpcMethod<
      SnapshotTimeSeriesRequest,
      SnapshotTimeSeriesResponse
    >;
    readonly healthCheck: GrpcMethod<HealthCheckRequest, HealthCheckResponse>;
  };
} = {
  name: 'enclave.EnclaveService',
  methods: {
    processSyncJob: {
      path: '/enclave.EnclaveService/ProcessSyncJob',
      request: SyncJobRequestSchema,
      response: SyncJobResponseSchema,
      requestStream: false,
      responseStream: false,
    },
    calculateHistoricalReturns: {
      path: '/enclave.EnclaveService/CalculateHistoricalReturns',
      request: HistoricalReturnsRequestSchema,
      response: HistoricalReturnsResponseSchema,
      requestStream: false,
      responseStream: false,
    },
    getAggregatedMetrics: {
      path: '/enclave.EnclaveService/GetAggregatedMetrics',
      request: AggregatedMetricsRequestSchema,
      response: AggregatedMetricsResponseSchema,
      requestStream: false,
      responseStream: false,
    },
    getSnapshotTimeSeries: {
      path: '/enclave.EnclaveService/GetSnapshotTimeSeries',
      request: SnapshotTimeSeriesRequestSchema,
      response: SnapshotTimeSeriesResponseSchema,
      requestStream: false,
      responseStream: false,
    },
    healthCheck: {
      path: '/enclave.EnclaveService/HealthCheck',
      request: HealthCheckRequestSchema,
      response: HealthCheckResponseSchema,
      requestStream: false,
      responseStream: false,
    },
  },
};

export const healthService: {
  readonly name: string;
  readonly methods: {
    readonly check: GrpcMethod<StandardHealthCheckRequest, StandardHealthCheckResponse>;
    readonly watch: GrpcMethod<StandardHealthCheckRequest, StandardHealthCheckResponse>;
  };
} = {
  name: 'grpc.health.v1.Health',
  methods: {
    check: {
      path: '/grpc.health.v1.Health/Check',
      request: StandardHealthCheckRequestSchema,
      response: StandardHealthCheckResponseSchema,
      requestStream: false,
      responseStream: false,
    },
    watch: {
      path: '/grpc.health.v1.Health/Watch',
      request: StandardHealthCheckRequestSchema,
      response: StandardHealthCheckResponseSchema,
      requestStream: false,
      responseStream: true,
    },
  },
};

export const reflectionService: {
  readonly name: string;
  readonly methods: {
    readonly serverReflectionInfo: GrpcMethod<ServerReflectionRequest, ServerReflectionResponse>;
  };
} = {
  name: 'grpc.reflection.v1.ServerReflection',
  methods: {
    serverReflectionInfo: {
      path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      request: ServerReflectionRequestSchema,
      response: ServerReflectionResponseSchema,
      requestStream: true,
      responseStream: true,
    },
  },
};

export const reflectionAlphaService: {
  readonly name: string;
  readonly methods: {
    readonly serverReflectionInfo: GrpcMethod<ServerReflectionRequest, ServerReflectionResponse>;
  };
} = {
  name: 'grpc.reflection.v1alpha.ServerReflection',
  methods: {
    serverReflectionInfo: {
      path: '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
      request: ServerReflectionRequestSchema,
      response: ServerReflectionResponseSchema,
      requestStream: true,
      responseStream: true,
    },
  },
};
