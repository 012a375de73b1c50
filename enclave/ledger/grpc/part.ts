// gRPC as a part of the ledger.

import type { LedgerPart, LedgerServices } from '../services.ts';
import type { TrackService } from '../track-service-types.ts';
import { GrpcService } from './server.ts';

/** Answers every connection that the desk hands over, from now on. */
export function openGrpc(
  services: Pick<LedgerServices, 'guard' | 'onGrpcConnection'>,
  track: TrackService,
): LedgerPart {
  const service = new GrpcService({ guard: services.guard, track });
  services.onGrpcConnection((stream, fingerprint) => {
    service.accept(stream, fingerprint);
  });
  return service;
}
