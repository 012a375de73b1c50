// What `npm run bench -- --grpc` says, beside its goals.

import type { Goal } from '../report.ts';
import type { GrpcReport } from './measure.ts';

const OVERHEAD_MS = 2;
const OPENING_MS = 1;
/** From here on the time of an answer is that of its bytes. */
const PAGE_BYTES = 16 * 1024;

function overheadGoal(name: string, p95: number): Goal {
  return { name, goal: OVERHEAD_MS, measured: p95, met: p95 < OVERHEAD_MS };
}

/** Of the page: what it weighs is no overhead, so that what the boundary adds to a plain gRPC call is held against the goal. */
export function grpcGoals({ ways, opening }: GrpcReport): readonly Goal[] {
  const overheads = ways.flatMap(({ method, overhead, boundary, answerBytes }) =>
    answerBytes < PAGE_BYTES
      ? [
          overheadGoal(`gRPC overhead p95 of ${method}, ms`, overhead.p95),
          overheadGoal(
            `gRPC through the boundary, p95 over plain gRPC, ${method}, ms`,
            boundary.p95,
          ),
        ]
      : [
          overheadGoal(
            `gRPC through the boundary, p95 over plain gRPC, ${method}, ms`,
            boundary.p95,
          ),
        ],
  );
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
    ...ways.flatMap(({ method, answerBytes, call, plain, direct, overhead, boundary }) => [
      `  ${method} (${String(answerBytes)} bytes, ${String(call.count)} calls)`,
      `    call      ${times(call)}`,
      `    plain     ${times(plain)}  (grpc-js, mutual TLS, no boundary)`,
      `    direct    ${times(direct)}  (in this process)`,
      `    overhead  ${times(overhead)}  (call less direct, round by round)`,
      `    boundary  ${times(boundary)}  (call less plain, round by round)`,
      `    call p50 / plain p50 = ${(call.p50 / plain.p50).toFixed(2)}`,
    ]),
    `Opening sealed credentials, ms (${String(opening.count)} envelopes)`,
    `            ${times(opening)}`,
  ].join('\n');
}
