// A refusal as a gRPC status: its closed code in google.rpc.ErrorInfo, its sentence as the message. Nothing of a request
// and no text of an exception is in it; a field that is named is one of ours.

import { Metadata, status } from '@grpc/grpc-js';
import type { RefusalCode } from '../../../wire/codes.ts';
import { REFUSAL_CODES } from '../../../wire/codes.ts';
import { RpcErrorInfoSchema, RpcStatusSchema } from '../../../wire/grpc/messages.ts';
import { encodeMessage } from '../../../wire/grpc/protobuf.ts';
import type { Refusal } from '../../../wire/result.ts';

export const ERROR_DOMAIN = 'trackseal';
const DETAILS_HEADER = 'grpc-status-details-bin';
const ERROR_INFO_URL = 'type.googleapis.com/google.rpc.ErrorInfo';

/** Everything else is UNAVAILABLE: not now, maybe later. */
const STATUSES: Partial<Readonly<Record<RefusalCode, number>>> = {
  call_malformed: status.INVALID_ARGUMENT,
  api_malformed: status.INVALID_ARGUMENT,
  message_malformed: status.INVALID_ARGUMENT,
  venue_unknown: status.NOT_FOUND,
  account_unknown: status.NOT_FOUND,
  not_found: status.NOT_FOUND,
  snapshot_exists: status.FAILED_PRECONDITION,
  venue_closed: status.FAILED_PRECONDITION,
  no_figures: status.FAILED_PRECONDITION,
  client_untrusted: status.UNAUTHENTICATED,
  call_unknown: status.UNIMPLEMENTED,
  call_compressed: status.UNIMPLEMENTED,
  call_deadline: status.DEADLINE_EXCEEDED,
  call_limit: status.RESOURCE_EXHAUSTED,
  rate_limited: status.RESOURCE_EXHAUSTED,
  api_too_large: status.RESOURCE_EXHAUSTED,
  // The database has something else than what was put there.
  store_mac: status.DATA_LOSS,
  store_deleted: status.DATA_LOSS,
  store_rolled_back: status.DATA_LOSS,
  chain_hole: status.DATA_LOSS,
  chain_duplicate: status.DATA_LOSS,
  chain_fork: status.DATA_LOSS,
  chain_splice: status.DATA_LOSS,
  chain_previous: status.DATA_LOSS,
  chain_order: status.DATA_LOSS,
  internal: status.INTERNAL,
};

export function grpcCodeOf(code: RefusalCode): number {
  return STATUSES[code] ?? status.UNAVAILABLE;
}

/** google.rpc.Status of a refusal. */
export function encodeStatus({ code, detail }: Refusal): Uint8Array {
  const { field } = detail;
  const metadata = [{ key: 'code', value: code as string }];
  if (typeof field === 'string' && field !== '') metadata.push({ key: 'field', value: field });
  const value = encodeMessage(RpcErrorInfoSchema, {
    reason: code.toUpperCase(),
    domain: ERROR_DOMAIN,
    metadata,
  });
  return encodeMessage(RpcStatusSchema, {
    code: grpcCodeOf(code),
    message: REFUSAL_CODES[code],
    details: [{ typeUrl: ERROR_INFO_URL, value }],
  });
}

export interface GrpcFailure {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

export function failureOf(refusal: Refusal): GrpcFailure {
  const metadata = new Metadata();
  metadata.set(DETAILS_HEADER, Buffer.from(encodeStatus(refusal)));
  return { code: grpcCodeOf(refusal.code), details: REFUSAL_CODES[refusal.code], metadata };
}

/** The same as the headers of an answer that has nothing else. */
export function failureHeaders(refusal: Refusal): Readonly<Record<string, string | number>> {
  return {
    ':status': 200,
    'content-type': 'application/grpc+proto',
    'grpc-status': grpcCodeOf(refusal.code),
    'grpc-message': encodeURI(REFUSAL_CODES[refusal.code]),
    [DETAILS_HEADER]: Buffer.from(encodeStatus(refusal)).toString('base64'),
  };
}
