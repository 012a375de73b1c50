// Where the parts of the ledger are put together, and what each needs of the others.

import { openGrpc } from './grpc/part.ts';
import type { LedgerPart, LedgerServices } from './services.ts';
import { answerQuestions } from './track/questions.ts';
import { MetricsMaker } from './track/metrics-maker.ts';
import { openTrackRecord } from './track/open-track.ts';
import { TrackQueries } from './track/track-queries.ts';

export function openParts(services: LedgerServices): Promise<readonly LedgerPart[]> {
  const record = openTrackRecord(services);
  const metrics = new MetricsMaker(services, record.store);
  answerQuestions(services, record, metrics);
  const grpc = openGrpc(services, new TrackQueries(services, record, metrics));
  // What takes questions closes first.
  return Promise.resolve([grpc, record]);
}
