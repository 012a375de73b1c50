// Findings and the retention report, for people. Names come from the bucket and are shown as printable ASCII.

import { printable } from '../command-line.ts';
import type { Finding } from './findings.ts';
import type { PartReport } from './retention.ts';

function day(date: Date | null): string {
  return date === null ? '-' : date.toISOString().slice(0, 19).replace('T', ' ');
}

export function renderFindings(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ severity, code, where, count, what, next }) => [
    `${severity.toUpperCase().padEnd(8)} ${code}${count === 1 ? '' : ` (${count.toLocaleString('en')} times)`}`,
    ...(where === null ? [] : [`  where         ${printable(where)}`]),
    `  what          ${what}`,
    `  next          ${next}`,
  ]);
  return lines.map((line) => `${line}\n`).join('');
}

const COLUMNS = [
  'part',
  'objects',
  'bytes',
  'locked from',
  'until (UTC)',
  'open',
  'holds',
  'later',
  'markers',
];

export function renderParts(parts: readonly PartReport[]): string {
  const rows = parts.map((part) => [
    part.part === '' ? '(other)' : printable(part.part),
    part.objects.toLocaleString('en'),
    part.bytes.toLocaleString('en'),
    day(part.earliest),
    day(part.latest),
    // What can be deleted, with rights that a policy may give.
    (part.unlocked + part.governance + part.over).toLocaleString('en'),
    part.holds.toLocaleString('en'),
    part.laterVersions.toLocaleString('en'),
    part.deleteMarkers.toLocaleString('en'),
  ]);
  const all = [COLUMNS, ...rows];
  const widths = COLUMNS.map((_, at) => Math.max(...all.map((row) => (row[at] ?? '').length)));
  const lines = all.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  return parts.length === 0 ? 'nothing in it\n' : `${lines.join('\n')}\n`;
}
