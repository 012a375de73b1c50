// grpc.health.v1: the state of the service to whoever has a certificate. Watch says it at once and when it changes, until the
// connection takes no more calls: one that went on would keep the place of the next. It is looked at every second.

import type { ServerWritableStream } from '@grpc/grpc-js';
import { SERVICE_NAMES } from '../../../wire/grpc/descriptors.ts';
import {
  StandardHealthCheckRequestSchema,
  StandardHealthCheckResponseSchema,
  StandardHealthCheckResponseServingStatus as Serving,
} from '../../../wire/grpc/messages.ts';
import type {
  StandardHealthCheckRequest,
  StandardHealthCheckResponse,
} from '../../../wire/grpc/messages.ts';
import { decodeMessage, encodeMessage } from '../../../wire/grpc/protobuf.ts';
import { healthService } from '../../../wire/grpc/services.ts';
import type { Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';
import type { Unary } from './calls.ts';
import { MAX_REQUEST_BYTES, WATCH_MS } from './limits.ts';
import { failureOf } from './status.ts';

/** Empty: the server as a whole. Null: no service of this name. */
function statusOf(service: string, healthy: boolean): number | null {
  if (service !== '' && !SERVICE_NAMES.includes(service)) return null;
  return healthy ? Serving.SERVING : Serving.NOT_SERVING;
}

export function healthCheck(
  isHealthy: () => boolean,
): Unary<StandardHealthCheckRequest, string, number, StandardHealthCheckResponse> {
  const ask = (service: string): Promise<Result<number>> => {
    const status = statusOf(service, isHealthy());
    return Promise.resolve(status === null ? refuse('not_found') : accept(status));
  };
  return {
    method: healthService.methods.check,
    parse: ({ service }) => accept(service),
    ask,
    answer: (status) => ({ status }),
  };
}

export function healthWatch(
  isHealthy: () => boolean,
  isOver: () => boolean,
): (call: ServerWritableStream<Uint8Array, Uint8Array>) => void {
  return (call) => {
    const request = decodeMessage(
      StandardHealthCheckRequestSchema,
      call.request,
      MAX_REQUEST_BYTES,
    );
    if (!request.ok) {
      call.emit('error', failureOf(request.refusal));
      return;
    }
    const { service } = request.value;
    let last: number | null = null;
    const look = (): void => {
      if (isOver()) {
        call.end();
        return;
      }
      const status = statusOf(service, isHealthy()) ?? Serving.SERVICE_UNKNOWN;
      // Who does not read gets no more of it.
      if (status === last || call.writableNeedDrain) return;
      last = status;
      call.write(encodeMessage(StandardHealthCheckResponseSchema, { status }));
    };
    look();
    const timer = setInterval(look, WATCH_MS);
    const stop = (): void => {
      clearInterval(timer);
    };
    call.on('cancelled', stop);
    call.on('close', stop);
    call.on('finish', stop);
  };
}
