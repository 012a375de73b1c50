// What `npm run bench -- --grpc` says, beside its goals.

import type { Goal } from '../report.ts';
import type { GrpcReport } from './measure.ts';

const OVERHEAD_MS = 2;
const OPENING_MS = 1;

function overheadGoal(name: string, p95: number): Goal {
  return { name, goal: OVERHEAD_MS, measured: p95, met: p95 < OVERHEAD_MS };
}

/** Of each way the overhead, call by call, and the whole call: the same goal, so that nobody has to trust a difference. */
export function grpcGoals({ ways, opening }: GrpcReport): readonly Goal[] {
  const overheads = ways.flatMap(({ method, overhead, call }) => [
    overheadGoal(`gRPC overhead p95 of ${method}, ms`, overhead.p95),
    overheadGoal(`gRPC whole call p95 of ${method}, ms`, call.p95),
  ]);
  const { p95 } = opening;
  const opened = { name: 'opening credentials p95, ms', goal: OPENING_MS, measured: p95 };
  return [...overheads, { ...opened, met: p95 < OPENING_MS }];
}

function times({ p50, p95, p99, max }: GrpcReport['opening']): string {
  const shown = { p50, p95, p99, max };
  return Object.entries(shown)
    .map(([name, value]) => `${name} ${value.toFixed(3)}`)
    .join('  ');
}

export function renderGrpc({ ways, opening }: GrpcReport): string {
  return [
    'gRPC through the boundary, one call after the other, ms',
    ...ways.flatMap(({ method, answerBytes, call, direct, overhead }) => [
      `  ${method} (${String(answerBytes)} bytes, ${String(call.count)} calls)`,
      `    call      ${times(call)}`,
      `    direct    ${times(direct)}`,
      `    overhead  ${times(overhead)}  (call less direct, in pairs)`,
    ]),
    `Opening sealed credentials, ms (${String(opening.count)} envelopes)`,
    `            ${times(opening)}`,
  ].join('\n');
}
