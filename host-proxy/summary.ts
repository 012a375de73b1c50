// What a run of the host came to, for `--json` (snake_case, 64-bit integers as text) and for people.

import type { EpochSummary } from './epoch-services.ts';
import type { HostSummary } from './host.ts';

/** Plain JSON values, keys in snake_case. */
export function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [snakeCase(key), toJson(inner)]),
  );
}

function snakeCase(key: string): string {
  return key.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`);
}

function epochLines(epoch: EpochSummary): readonly string[] {
  const { feed, execution } = epoch;
  const ended = epoch.closed ? 'closed cleanly' : 'ended without a close leaf';
  const lines = [
    `epoch ${epoch.epoch}  ${ended}${epoch.code === null ? '' : `  (${epoch.code})`}`,
    `  log        ${epoch.size} leaves  root ${epoch.root ?? 'none'}`,
  ];
  if (feed !== null) {
    lines.push(
      `  feed       ${feed.events} events in ${feed.batchesSent} batches, ${feed.batchesDone} done, ${feed.batchesRefused} refused, ${feed.batchesDropped} dropped`,
      `  signals    ${feed.signals} released, ${feed.reports} reports, ${epoch.unreleased.length} never released`,
    );
  }
  if (execution !== null) {
    lines.push(
      `  orders     ${execution.accepted} accepted, ${execution.fills} fills`,
      `  paper P&L  ${execution.profit ?? 'unknown'}`,
    );
  }
  return lines;
}

export function renderSummary(summary: HostSummary): string {
  return `${summary.epochs.flatMap(epochLines).join('\n')}\n`;
}
