// What `npm run bench` says about the proxy, beside its goals.

import type { Goal } from '../report.ts';
import type { Memory } from './memory.ts';
import type { ProxyReport, WayReport } from './measure.ts';
import type { WayName } from './ways.ts';

const NAMES: Readonly<Record<WayName, string>> = {
  trackseal: 'trackseal egress',
  socat: 'socat, TCP, fork',
  node: 'Node, pipe',
};

function ratio(name: string, measured: number): Goal {
  return { name: `proxy: ${name} over socat's`, goal: 0.9, measured, met: measured >= 0.9 };
}

/** None of them where there is no socat to compare with, but the last. */
export function proxyGoals({ ways, options, overSocat }: ProxyReport): readonly Goal[] {
  const { trackseal: ours, socat } = ways;
  if (ours === undefined) return [];
  const failed = {
    name: `proxy: failed of ${options.concurrent} connections at once`,
    goal: 0,
    measured: ours.failed,
    met: ours.failed === 0,
  };
  if (socat === undefined || overSocat === null) return [failed];
  const memory = total(ours.held) / total(socat.held);
  return [
    ratio('throughput from the server', overSocat.down),
    ratio('throughput to the server', overSocat.up),
    {
      name: `proxy: memory at ${options.concurrent} connections over socat's`,
      goal: 1,
      measured: memory,
      met: memory < 1,
    },
    failed,
  ];
}

function total({ pages, tables }: Memory): number {
  return pages + tables;
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

function rate(bytes: number): string {
  return (bytes / 1e6).toFixed(0).padStart(6);
}

function renderWay(name: string, way: WayReport): string {
  const { latency, idle, held } = way;
  return [
    `  ${name.padEnd(18)}${rate(way.downBytesPerSecond)} MB/s from, ${rate(way.upBytesPerSecond)} MB/s to the server   processor ${way.downCpuMs.toFixed(0)} and ${way.upCpuMs.toFixed(0)} ms a GiB`,
    `  ${''.padEnd(18)}${way.connectionsPerSecond.toFixed(0).padStart(6)} connections/s   processor ${(way.connectionsCpuMs / 1000).toFixed(2)} ms each`,
    `  ${''.padEnd(18)}TLS, a message there and back: p50 ${latency.p50.toFixed(2)}   p99 ${latency.p99.toFixed(2)} ms`,
    `  ${''.padEnd(18)}memory ${mebibytes(idle.pages)} + ${mebibytes(idle.tables)} MiB -> ${mebibytes(held.pages)} + ${mebibytes(held.tables)} MiB   failed ${way.failed}`,
  ].join('\n');
}

export function renderProxy({ ways, options, overSocat }: ProxyReport): string {
  const shown = (Object.keys(NAMES) as WayName[]).flatMap((name) => {
    const way = ways[name];
    return way === undefined ? [] : [renderWay(NAMES[name], way)];
  });
  return [
    `The way out: host egress over the unix transport, 4 streams, ${options.turns} turns of ${options.rounds} rounds; ${options.messagesEach} messages on each of 100 TLS connections;`,
    `  memory as pages + page tables, with no connection and with ${options.concurrent} that were opened at once`,
    ...shown,
    ...(overSocat === null
      ? ['  socat is not here (the Debian package, or TRACKSEAL_SOCAT): not compared with it']
      : [
          `  over socat, medians of rounds: from ${overSocat.down.toFixed(2)}, to ${overSocat.up.toFixed(2)}, connections ${overSocat.connections.toFixed(2)}`,
        ]),
  ].join('\n');
}
