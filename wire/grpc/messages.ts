// Made by scripts/grpc-codecs.ts from wire/grpc/proto; do not edit. Amounts are decimal texts; null: absent.

import type { MessageSchema } from './protobuf.ts';

export const SyncType = {
  INCREMENTAL: 0,
  HISTORICAL: 1,
  FULL: 2,
} as const;

export const Freshness = {
  CONSISTENT: 0,
  FRESH: 1,
} as const;

export const ReturnMethod = {
  NO_METHOD: 0,
  TIME_WEIGHTED: 1,
  MODIFIED_DIETZ: 2,
} as const;

export const Reconciliation = {
  NOT_RECONCILED: 0,
  RECONCILED: 1,
  BEYOND_TOLERANCE: 2,
} as const;

export const LotMethod = {
  FIFO: 0,
  AVERAGE_COST: 1,
} as const;

export const HealthCheckResponseStatus = {
  HEALTHY: 0,
  UNHEALTHY: 1,
} as const;

export const StandardHealthCheckResponseServingStatus = {
  UNKNOWN: 0,
  SERVING: 1,
  NOT_SERVING: 2,
  SERVICE_UNKNOWN: 3,
} as const;

export interface Evidence {
  readonly statement: Uint8Array;
  readonly signature: Uint8Array;
  readonly origin: string;
  readonly leafIndex: number;
  readonly position: number;
  readonly leafSalt: Uint8Array;
  readonly account: Uint8Array;
  readonly counter: number | null;
}
export const EvidenceSchema: MessageSchema<Evidence> = {
  name: 'enclave.Evidence',
  fields: [
    { name: 'statement', number: 1, type: 'bytes', label: 'one' },
    { name: 'signature', number: 2, type: 'bytes', label: 'one' },
    { name: 'origin', number: 3, type: 'string', label: 'one' },
    { name: 'leafIndex', number: 4, type: 'int64', label: 'one' },
    { name: 'position', number: 5, type: 'int32', label: 'one' },
    { name: 'leafSalt', number: 6, type: 'bytes', label: 'one' },
    { name: 'account', number: 7, type: 'bytes', label: 'one' },
    { name: 'counter', number: 8, type: 'int64', label: 'optional' },
  ],
};

export interface Coverage {
  readonly polls: number;
  readonly complete: boolean;
  readonly gaps: readonly string[];
}
export const CoverageSchema: MessageSchema<Coverage> = {
  name: 'enclave.Coverage',
  fields: [
    { name: 'polls', number: 1, type: 'int32', label: 'one' },
    { name: 'complete', number: 2, type: 'bool', label: 'one' },
    { name: 'gaps', number: 3, type: 'string', label: 'repeated' },
  ],
};

export interface SyncJobRequest {
  readonly userUid: string;
  readonly exchange: string;
  readonly type: number;
  readonly startDate: number;
  readonly endDate: number;
}
export const SyncJobRequestSchema: MessageSchema<SyncJobRequest> = {
  name: 'enclave.SyncJobRequest',
  fields: [
    { name: 'userUid', number: 1, type: 'string', label: 'one' },
    { name: 'exchange', number: 2, type: 'string', label: 'one' },
    { name: 'type', number: 3, type: 'int32', label: 'one' },
    { name: 'startDate', number: 4, type: 'int64', label: 'one' },
    { name: 'endDate', number: 5, type: 'int64', label: 'one' },
  ],
};

export interface Snapshot {
  readonly balance: string | null;
  readonly equity: string | null;
  readonly timestamp: number;
  readonly currency: string;
  readonly evidence: Evidence | null;
}
export const SnapshotSchema: MessageSchema<Snapshot> = {
  name: 'enclave.Snapshot',
  fields: [
    { name: 'balance', number: 1, type: 'string', label: 'optional' },
    { name: 'equity', number: 2, type: 'string', label: 'optional' },
    { name: 'timestamp', number: 3, type: 'int64', label: 'one' },
    { name: 'currency', number: 10, type: 'string', label: 'one' },
    { name: 'evidence', number: 11, type: () => EvidenceSchema, label: 'optional' },
  ],
};

export interface SyncJobResponse {
  readonly success: boolean;
  readonly userUid: string;
  readonly exchange: string;
  readonly synced: number;
  readonly hourlyReturnsGenerated: number;
  readonly latestSnapshot: Snapshot | null;
  readonly accounts: number;
}
export const SyncJobResponseSchema: MessageSchema<SyncJobResponse> = {
  name: 'enclave.SyncJobResponse',
  fields: [
    { name: 'success', number: 1, type: 'bool', label: 'one' },
    { name: 'userUid', number: 2, type: 'string', label: 'one' },
    { name: 'exchange', number: 3, type: 'string', label: 'one' },
    { name: 'synced', number: 4, type: 'int32', label: 'one' },
    { name: 'hourlyReturnsGenerated', number: 5, type: 'int32', label: 'one' },
    { name: 'latestSnapshot', number: 6, type: () => SnapshotSchema, label: 'optional' },
    { name: 'accounts', number: 10, type: 'int32', label: 'one' },
  ],
};

export interface HistoricalReturnsRequest {
  readonly userUid: string;
  readonly startDate: number;
  readonly endDate: number;
  readonly exchange: string;
  readonly pageSize: number;
  readonly pageToken: string;
}
export const HistoricalReturnsRequestSchema: MessageSchema<HistoricalReturnsRequest> = {
  name: 'enclave.HistoricalReturnsRequest',
  fields: [
    { name: 'userUid', number: 1, type: 'string', label: 'one' },
    { name: 'startDate', number: 2, type: 'int64', label: 'one' },
    { name: 'endDate', number: 3, type: 'int64', label: 'one' },
    { name: 'exchange', number: 4, type: 'string', label: 'one' },
    { name: 'pageSize', number: 10, type: 'int32', label: 'one' },
    { name: 'pageToken', number: 11, type: 'string', label: 'one' },
  ],
};

export interface Return {
  readonly period: string;
  readonly netReturn: string | null;
  readonly percentageReturn: string | null;
  readonly balance: string | null;
  readonly start: number;
  readonly end: number;
  readonly exchange: string;
  readonly ratio: string | null;
  readonly method: number;
  readonly reason: string;
  readonly currency: string;
  readonly residual: string | null;
  readonly reconciliation: number;
  readonly coverage: Coverage | null;
  readonly supersedes: number | null;
  readonly evidence: Evidence | null;
  readonly rebuilt: boolean;
}
export const ReturnSchema: MessageSchema<Return> = {
  name: 'enclave.Return',
  fields: [
    { name: 'period', number: 1, type: 'string', label: 'one' },
    { name: 'netReturn', number: 2, type: 'string', label: 'optional' },
    { name: 'percentageReturn', number: 3, type: 'string', label: 'optional' },
    { name: 'balance', number: 4, type: 'string', label: 'optional' },
    { name: 'start', number: 10, type: 'int64', label: 'one' },
    { name: 'end', number: 11, type: 'int64', label: 'one' },
    { name: 'exchange', number: 12, type: 'string', label: 'one' },
    { name: 'ratio', number: 13, type: 'string', label: 'optional' },
    { name: 'method', number: 14, type: 'int32', label: 'one' },
    { name: 'reason', number: 15, type: 'string', label: 'one' },
    { name: 'currency', number: 16, type: 'string', label: 'one' },
    { name: 'residual', number: 17, type: 'string', label: 'optional' },
    { name: 'reconciliation', number: 18, type: 'int32', label: 'one' },
    { name: 'coverage', number: 19, type: () => CoverageSchema, label: 'optional' },
    { name: 'supersedes', number: 20, type: 'int64', label: 'optional' },
    { name: 'evidence', number: 21, type: () => EvidenceSchema, label: 'optional' },
    { name: 'rebuilt', number: 22, type: 'bool', label: 'one' },
  ],
};

export interface HistoricalReturnsResponse {
  readonly success: boolean;
  readonly returns: readonly Return[];
  readonly nextPageToken: string;
  readonly freshness: number;
}
export const HistoricalReturnsResponseSchema: MessageSchema<HistoricalReturnsResponse> = {
  name: 'enclave.HistoricalReturnsResponse',
  fields: [
    { name: 'success', number: 1, type: 'bool', label: 'one' },
    { name: 'returns', number: 2, type: () => ReturnSchema, label: 'repeated' },
    { name: 'nextPageToken', number: 10, type: 'string', label: 'one' },
    { name: 'freshness', number: 11, type: 'int32', label: 'one' },
  ],
};

export interface AggregatedMetricsRequest {
  readonly userUid: string;
  readonly exchange: string;
}
export const AggregatedMetricsRequestSchema: MessageSchema<AggregatedMetricsRequest> = {
  name: 'enclave.AggregatedMetricsRequest',
  fields: [
    { name: 'userUid', number: 1, type: 'string', label: 'one' },
    { name: 'exchange', number: 2, type: 'string', label: 'one' },
  ],
};

export interface AggregatedMetricsResponse {
  readonly totalBalance: string | null;
  readonly totalEquity: string | null;
  readonly totalRealizedPnl: string | null;
  readonly totalUnrealizedPnl: string | null;
  readonly totalFees: string | null;
  readonly totalTrades: number;
  readonly lastSync: number;
  readonly currency: string;
  readonly totalVolume: string | null;
  readonly totalFunding: string | null;
  readonly accounts: readonly AccountMetrics[];
  readonly freshness: number;
}
export const AggregatedMetricsResponseSchema: MessageSchema<AggregatedMetricsResponse> = {
  name: 'enclave.AggregatedMetricsResponse',
  fields: [
    { name: 'totalBalance', number: 1, type: 'string', label: 'optional' },
    { name: 'totalEquity', number: 2, type: 'string', label: 'optional' },
    { name: 'totalRealizedPnl', number: 3, type: 'string', label: 'optional' },
    { name: 'totalUnrealizedPnl', number: 4, type: 'string', label: 'optional' },
    { name: 'totalFees', number: 5, type: 'string', label: 'optional' },
    { name: 'totalTrades', number: 6, type: 'int32', label: 'one' },
    { name: 'lastSync', number: 7, type: 'int64', label: 'one' },
    { name: 'currency', number: 10, type: 'string', label: 'one' },
    { name: 'totalVolume', number: 11, type: 'string', label: 'optional' },
    { name: 'totalFunding', number: 12, type: 'string', label: 'optional' },
    { name: 'accounts', number: 13, type: () => AccountMetricsSchema, label: 'repeated' },
    { name: 'freshness', number: 14, type: 'int32', label: 'one' },
  ],
};

export interface AccountMetrics {
  readonly exchange: string;
  readonly balance: string | null;
  readonly equity: string | null;
  readonly realizedPnl: string | null;
  readonly unrealizedPnl: string | null;
  readonly fees: string | null;
  readonly funding: string | null;
  readonly volume: string | null;
  readonly trades: number;
  readonly periodStart: number;
  readonly periodEnd: number;
  readonly ratios: Ratios | null;
  readonly conventions: readonly Convention[];
  readonly lotMethod: number;
  readonly coverage: Coverage | null;
  readonly residual: string | null;
  readonly currency: string;
  readonly lastSync: number;
  readonly evidence: Evidence | null;
  readonly gain: string | null;
  readonly lowestCapital: string | null;
  readonly meanCapital: string | null;
  readonly smallCapitalShare: string | null;
}
export const AccountMetricsSchema: MessageSchema<AccountMetrics> = {
  name: 'enclave.AccountMetrics',
  fields: [
    { name: 'exchange', number: 1, type: 'string', label: 'one' },
    { name: 'balance', number: 2, type: 'string', label: 'optional' },
    { name: 'equity', number: 3, type: 'string', label: 'optional' },
    { name: 'realizedPnl', number: 4, type: 'string', label: 'optional' },
    { name: 'unrealizedPnl', number: 5, type: 'string', label: 'optional' },
    { name: 'fees', number: 6, type: 'string', label: 'optional' },
    { name: 'funding', number: 7, type: 'string', label: 'optional' },
    { name: 'volume', number: 8, type: 'string', label: 'optional' },
    { name: 'trades', number: 9, type: 'int32', label: 'one' },
    { name: 'periodStart', number: 10, type: 'int64', label: 'one' },
    { name: 'periodEnd', number: 11, type: 'int64', label: 'one' },
    { name: 'ratios', number: 12, type: () => RatiosSchema, label: 'optional' },
    { name: 'conventions', number: 13, type: () => ConventionSchema, label: 'repeated' },
    { name: 'lotMethod', number: 14, type: 'int32', label: 'one' },
    { name: 'coverage', number: 15, type: () => CoverageSchema, label: 'optional' },
    { name: 'residual', number: 16, type: 'string', label: 'optional' },
    { name: 'currency', number: 17, type: 'string', label: 'one' },
    { name: 'lastSync', number: 18, type: 'int64', label: 'one' },
    { name: 'evidence', number: 19, type: () => EvidenceSchema, label: 'optional' },
    { name: 'gain', number: 20, type: 'string', label: 'optional' },
    { name: 'lowestCapital', number: 21, type: 'string', label: 'optional' },
    { name: 'meanCapital', number: 22, type: 'string', label: 'optional' },
    { name: 'smallCapitalShare', number: 23, type: 'string', label: 'optional' },
  ],
};

export interface Ratios {
  readonly cumulativeReturn: string | null;
  readonly volatility: string | null;
  readonly sharpe: string | null;
  readonly sortino: string | null;
  readonly calmar: string | null;
  readonly maxDrawdown: string | null;
  readonly drawdownPeak: number | null;
  readonly drawdownTrough: number | null;
  readonly drawdownRecovery: number | null;
  readonly winRate: string | null;
  readonly profitFactor: string | null;
  readonly xirr: string | null;
  readonly cumulativeReturnBridged: string | null;
}
export const RatiosSchema: MessageSchema<Ratios> = {
  name: 'enclave.Ratios',
  fields: [
    { name: 'cumulativeReturn', number: 1, type: 'string', label: 'optional' },
    { name: 'volatility', number: 2, type: 'string', label: 'optional' },
    { name: 'sharpe', number: 3, type: 'string', label: 'optional' },
    { name: 'sortino', number: 4, type: 'string', label: 'optional' },
    { name: 'calmar', number: 5, type: 'string', label: 'optional' },
    { name: 'maxDrawdown', number: 6, type: 'string', label: 'optional' },
    { name: 'drawdownPeak', number: 7, type: 'int64', label: 'optional' },
    { name: 'drawdownTrough', number: 8, type: 'int64', label: 'optional' },
    { name: 'drawdownRecovery', number: 9, type: 'int64', label: 'optional' },
    { name: 'winRate', number: 10, type: 'string', label: 'optional' },
    { name: 'profitFactor', number: 11, type: 'string', label: 'optional' },
    { name: 'xirr', number: 12, type: 'string', label: 'optional' },
    { name: 'cumulativeReturnBridged', number: 13, type: 'string', label: 'optional' },
  ],
};

export interface Convention {
  readonly name: string;
  readonly value: string;
}
export const ConventionSchema: MessageSchema<Convention> = {
  name: 'enclave.Convention',
  fields: [
    { name: 'name', number: 1, type: 'string', label: 'one' },
    { name: 'value', number: 2, type: 'string', label: 'one' },
  ],
};

export interface SnapshotTimeSeriesRequest {
  readonly userUid: string;
  readonly exchange: string;
  readonly startDate: number;
  readonly endDate: number;
  readonly pageSize: number;
  readonly pageToken: string;
}
export const SnapshotTimeSeriesRequestSchema: MessageSchema<SnapshotTimeSeriesRequest> = {
  name: 'enclave.SnapshotTimeSeriesRequest',
  fields: [
    { name: 'userUid', number: 1, type: 'string', label: 'one' },
    { name: 'exchange', number: 2, type: 'string', label: 'one' },
    { name: 'startDate', number: 3, type: 'int64', label: 'one' },
    { name: 'endDate', number: 4, type: 'int64', label: 'one' },
    { name: 'pageSize', number: 10, type: 'int32', label: 'one' },
    { name: 'pageToken', number: 11, type: 'string', label: 'one' },
  ],
};

export interface SnapshotTimeSeriesResponse {
  readonly snapshots: readonly DailySnapshot[];
  readonly nextPageToken: string;
  readonly freshness: number;
}
export const SnapshotTimeSeriesResponseSchema: MessageSchema<SnapshotTimeSeriesResponse> = {
  name: 'enclave.SnapshotTimeSeriesResponse',
  fields: [
    { name: 'snapshots', number: 1, type: () => DailySnapshotSchema, label: 'repeated' },
    { name: 'nextPageToken', number: 10, type: 'string', label: 'one' },
    { name: 'freshness', number: 11, type: 'int32', label: 'one' },
  ],
};

export interface DailySnapshot {
  readonly userUid: string;
  readonly exchange: string;
  readonly timestamp: number;
  readonly totalEquity: string | null;
  readonly realizedBalance: string | null;
  readonly unrealizedPnl: string | null;
  readonly deposits: string | null;
  readonly withdrawals: string | null;
  readonly breakdown: MarketBreakdown | null;
  readonly currency: string;
  readonly residual: string | null;
  readonly coverage: Coverage | null;
  readonly supersedes: number | null;
  readonly evidence: Evidence | null;
}
export const DailySnapshotSchema: MessageSchema<DailySnapshot> = {
  name: 'enclave.DailySnapshot',
  fields: [
    { name: 'userUid', number: 1, type: 'string', label: 'one' },
    { name: 'exchange', number: 2, type: 'string', label: 'one' },
    { name: 'timestamp', number: 3, type: 'int64', label: 'one' },
    { name: 'totalEquity', number: 4, type: 'string', label: 'optional' },
    { name: 'realizedBalance', number: 5, type: 'string', label: 'optional' },
    { name: 'unrealizedPnl', number: 6, type: 'string', label: 'optional' },
    { name: 'deposits', number: 7, type: 'string', label: 'optional' },
    { name: 'withdrawals', number: 8, type: 'string', label: 'optional' },
    { name: 'breakdown', number: 9, type: () => MarketBreakdownSchema, label: 'optional' },
    { name: 'currency', number: 10, type: 'string', label: 'one' },
    { name: 'residual', number: 11, type: 'string', label: 'optional' },
    { name: 'coverage', number: 12, type: () => CoverageSchema, label: 'optional' },
    { name: 'supersedes', number: 13, type: 'int64', label: 'optional' },
    { name: 'evidence', number: 14, type: () => EvidenceSchema, label: 'optional' },
  ],
};

export interface MarketBreakdown {
  readonly global: MarketMetrics | null;
  readonly spot: MarketMetrics | null;
  readonly swap: MarketMetrics | null;
  readonly options: MarketMetrics | null;
  readonly stocks: MarketMetrics | null;
  readonly futures: MarketMetrics | null;
  readonly cfd: MarketMetrics | null;
  readonly forex: MarketMetrics | null;
  readonly commodities: MarketMetrics | null;
}
export const MarketBreakdownSchema: MessageSchema<MarketBreakdown> = {
  name: 'enclave.MarketBreakdown',
  fields: [
    { name: 'global', number: 1, type: () => MarketMetricsSchema, label: 'optional' },
    { name: 'spot', number: 2, type: () => MarketMetricsSchema, label: 'optional' },
    { name: 'swap', number: 3, type: () => MarketMetricsSchema, label: 'optional' },
    { name: 'options', number: 4, type: () => MarketMetricsSchema, label: 'optional' },
    { name: 'stocks', number: 5, type: () => MarketMetricsSchema, label: 'optional' },
    { name: 'futures', number: 6, type: () => MarketMetricsSchema, label: 'optional' },
    { name: 'cfd', number: 7, type: () => MarketMetricsSchema, label: 'optional' },
    { name: 'forex', number: 8, type: () => MarketMetricsSchema, label: 'optional' },
    { name: 'commodities', number: 9, type: () => MarketMetricsSchema, label: 'optional' },
  ],
};

export interface MarketMetrics {
  readonly equity: string | null;
  readonly availableMargin: string | null;
  readonly volume: string | null;
  readonly trades: number;
  readonly tradingFees: string | null;
  readonly fundingFees: string | null;
  readonly realizedPnl: string | null;
  readonly unrealizedPnl: string | null;
}
export const MarketMetricsSchema: MessageSchema<MarketMetrics> = {
  name: 'enclave.MarketMetrics',
  fields: [
    { name: 'equity', number: 1, type: 'string', label: 'optional' },
    { name: 'availableMargin', number: 2, type: 'string', label: 'optional' },
    { name: 'volume', number: 3, type: 'string', label: 'optional' },
    { name: 'trades', number: 4, type: 'int32', label: 'one' },
    { name: 'tradingFees', number: 5, type: 'string', label: 'optional' },
    { name: 'fundingFees', number: 6, type: 'string', label: 'optional' },
    { name: 'realizedPnl', number: 10, type: 'string', label: 'optional' },
    { name: 'unrealizedPnl', number: 11, type: 'string', label: 'optional' },
  ],
};

export type HealthCheckRequest = Readonly<Record<string, never>>;
export const HealthCheckRequestSchema: MessageSchema<HealthCheckRequest> = {
  name: 'enclave.HealthCheckRequest',
  fields: [],
};

export interface HealthCheckResponse {
  readonly status: number;
  readonly enclave: boolean;
  readonly version: string;
  readonly uptime: string;
  readonly origin: string;
  readonly stored: boolean;
}
export const HealthCheckResponseSchema: MessageSchema<HealthCheckResponse> = {
  name: 'enclave.HealthCheckResponse',
  fields: [
    { name: 'status', number: 1, type: 'int32', label: 'one' },
    { name: 'enclave', number: 2, type: 'bool', label: 'one' },
    { name: 'version', number: 3, type: 'string', label: 'one' },
    { name: 'uptime', number: 4, type: 'string', label: 'one' },
    { name: 'origin', number: 10, type: 'string', label: 'one' },
    { name: 'stored', number: 11, type: 'bool', label: 'one' },
  ],
};

export interface StandardHealthCheckRequest {
  readonly service: string;
}
export const StandardHealthCheckRequestSchema: MessageSchema<StandardHealthCheckRequest> = {
  name: 'grpc.health.v1.HealthCheckRequest',
  fields: [{ name: 'service', number: 1, type: 'string', label: 'one' }],
};

export interface StandardHealthCheckResponse {
  readonly status: number;
}
export const StandardHealthCheckResponseSchema: MessageSchema<StandardHealthCheckResponse> = {
  name: 'grpc.health.v1.HealthCheckResponse',
  fields: [{ name: 'status', number: 1, type: 'int32', label: 'one' }],
};

export interface ServerReflectionRequest {
  readonly host: string;
  readonly fileByFilename: string | null;
  readonly fileContainingSymbol: string | null;
  readonly fileContainingExtension: ExtensionRequest | null;
  readonly allExtensionNumbersOfType: string | null;
  readonly listServices: string | null;
}
export const ServerReflectionRequestSchema: MessageSchema<ServerReflectionRequest> = {
  name: 'grpc.reflection.v1.ServerReflectionRequest',
  fields: [
    { name: 'host', number: 1, type: 'string', label: 'one' },
    { name: 'fileByFilename', number: 3, type: 'string', label: 'optional' },
    { name: 'fileContainingSymbol', number: 4, type: 'string', label: 'optional' },
    {
      name: 'fileContainingExtension',
      number: 5,
      type: () => ExtensionRequestSchema,
      label: 'optional',
    },
    { name: 'allExtensionNumbersOfType', number: 6, type: 'string', label: 'optional' },
    { name: 'listServices', number: 7, type: 'string', label: 'optional' },
  ],
};

export interface ExtensionRequest {
  readonly containingType: string;
  readonly extensionNumber: number;
}
export const ExtensionRequestSchema: MessageSchema<ExtensionRequest> = {
  name: 'grpc.reflection.v1.ExtensionRequest',
  fields: [
    { name: 'containingType', number: 1, type: 'string', label: 'one' },
    { name: 'extensionNumber', number: 2, type: 'int32', label: 'one' },
  ],
};

export interface ServerReflectionResponse {
  readonly validHost: string;
  readonly originalRequest: ServerReflectionRequest | null;
  readonly fileDescriptorResponse: FileDescriptorResponse | null;
  readonly allExtensionNumbersResponse: ExtensionNumberResponse | null;
  readonly listServicesResponse: ListServiceResponse | null;
  readonly errorResponse: ErrorResponse | null;
}
export const ServerReflectionResponseSchema: MessageSchema<ServerReflectionResponse> = {
  name: 'grpc.reflection.v1.ServerReflectionResponse',
  fields: [
    { name: 'validHost', number: 1, type: 'string', label: 'one' },
    {
      name: 'originalRequest',
      number: 2,
      type: () => ServerReflectionRequestSchema,
      label: 'optional',
    },
    {
      name: 'fileDescriptorResponse',
      number: 4,
      type: () => FileDescriptorResponseSchema,
      label: 'optional',
    },
    {
      name: 'allExtensionNumbersResponse',
      number: 5,
      type: () => ExtensionNumberResponseSchema,
      label: 'optional',
    },
    {
      name: 'listServicesResponse',
      number: 6,
      type: () => ListServiceResponseSchema,
      label: 'optional',
    },
    { name: 'errorResponse', number: 7, type: () => ErrorResponseSchema, label: 'optional' },
  ],
};

export interface FileDescriptorResponse {
  readonly fileDescriptorProto: readonly Uint8Array[];
}
export const FileDescriptorResponseSchema: MessageSchema<FileDescriptorResponse> = {
  name: 'grpc.reflection.v1.FileDescriptorResponse',
  fields: [{ name: 'fileDescriptorProto', number: 1, type: 'bytes', label: 'repeated' }],
};

export interface ExtensionNumberResponse {
  readonly baseTypeName: string;
  readonly extensionNumber: readonly number[];
}
export const ExtensionNumberResponseSchema: MessageSchema<ExtensionNumberResponse> = {
  name: 'grpc.reflection.v1.ExtensionNumberResponse',
  fields: [
    { name: 'baseTypeName', number: 1, type: 'string', label: 'one' },
    { name: 'extensionNumber', number: 2, type: 'int32', label: 'repeated' },
  ],
};

export interface ListServiceResponse {
  readonly service: readonly ServiceResponse[];
}
export const ListServiceResponseSchema: MessageSchema<ListServiceResponse> = {
  name: 'grpc.reflection.v1.ListServiceResponse',
  fields: [{ name: 'service', number: 1, type: () => ServiceResponseSchema, label: 'repeated' }],
};

export interface ServiceResponse {
  readonly name: string;
}
export const ServiceResponseSchema: MessageSchema<ServiceResponse> = {
  name: 'grpc.reflection.v1.ServiceResponse',
  fields: [{ name: 'name', number: 1, type: 'string', label: 'one' }],
};

export interface ErrorResponse {
  readonly errorCode: number;
  readonly errorMessage: string;
}
export const ErrorResponseSchema: MessageSchema<ErrorResponse> = {
  name: 'grpc.reflection.v1.ErrorResponse',
  fields: [
    { name: 'errorCode', number: 1, type: 'int32', label: 'one' },
    { name: 'errorMessage', number: 2, type: 'string', label: 'one' },
  ],
};

export interface Any {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}
export const AnySchema: MessageSchema<Any> = {
  name: 'google.protobuf.Any',
  fields: [
    { name: 'typeUrl', number: 1, type: 'string', label: 'one' },
    { name: 'value', number: 2, type: 'bytes', label: 'one' },
  ],
};

export interface RpcStatus {
  readonly code: number;
  readonly message: string;
  readonly details: readonly Any[];
}
export const RpcStatusSchema: MessageSchema<RpcStatus> = {
  name: 'google.rpc.Status',
  fields: [
    { name: 'code', number: 1, type: 'int32', label: 'one' },
    { name: 'message', number: 2, type: 'string', label: 'one' },
    { name: 'details', number: 3, type: () => AnySchema, label: 'repeated' },
  ],
};

export interface RpcErrorInfoEntry {
  readonly key: string;
  readonly value: string;
}
export const RpcErrorInfoEntrySchema: MessageSchema<RpcErrorInfoEntry> = {
  name: 'google.rpc.ErrorInfo.MetadataEntry',
  fields: [
    { name: 'key', number: 1, type: 'string', label: 'one' },
    { name: 'value', number: 2, type: 'string', label: 'one' },
  ],
};

export interface RpcErrorInfo {
  readonly reason: string;
  readonly domain: string;
  readonly metadata: readonly RpcErrorInfoEntry[];
}
export const RpcErrorInfoSchema: MessageSchema<RpcErrorInfo> = {
  name: 'google.rpc.ErrorInfo',
  fields: [
    { name: 'reason', number: 1, type: 'string', label: 'one' },
    { name: 'domain', number: 2, type: 'string', label: 'one' },
    { name: 'metadata', number: 3, type: () => RpcErrorInfoEntrySchema, label: 'repeated' },
  ],
};
