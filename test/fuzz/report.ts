// What a run has to say: a table for people, JSON for machines, and the lines that nothing reached.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatWithOptions } from 'node:util';
import type { FileCoverage } from './coverage.ts';
import { ROOT } from './coverage.ts';
import type { Finding } from './finding.ts';
import type { Supervised } from './supervise.ts';

export interface ParserReport {
  readonly parser: string;
  readonly seed: number;
  readonly inputs: number;
  readonly inputs_per_second: number;
  readonly cpu_us_per_input: number;
  readonly functions: string;
  readonly blocks: string;
  readonly corpus: number;
  readonly peak_growth_mib: number;
  /** Null where it was not measured. */
  readonly kept_bytes_per_input: number | null;
  readonly slowest_ms: number;
  readonly slowest_bytes: number;
  readonly findings: readonly FindingReport[];
}

export interface FindingReport {
  readonly type: string;
  readonly what: string;
  readonly after: number;
  readonly bytes: number;
  /** Where the input was written. */
  readonly file: string;
}

function share(
  counted: readonly (readonly [number, number, boolean])[],
): readonly [number, number] {
  return [counted.filter(([, , ran]) => ran).length, counted.length];
}

function sumOf(
  coverage: readonly FileCoverage[],
  select: (file: FileCoverage) => readonly (readonly [number, number, boolean])[],
): string {
  const shares = coverage.map((file) => share(select(file)));
  return `${shares.reduce((sum, [ran]) => sum + ran, 0)}/${shares.reduce((sum, [, all]) => sum + all, 0)}`;
}

const MIB = 1024 * 1024;

function round(value: number, decimals = 0): number {
  return Number(value.toFixed(decimals));
}

export function reportOf(
  parser: string,
  seed: number,
  { result, findings, inputs }: Supervised,
  fileOf: (finding: Finding) => string,
): ParserReport {
  const coverage = result?.coverage ?? [];
  return {
    parser,
    seed,
    inputs,
    inputs_per_second: result === null ? 0 : round(inputs / result.seconds),
    cpu_us_per_input: result === null ? 0 : round((result.cpuSeconds / inputs) * 1e6),
    functions: sumOf(coverage, ({ functions }) => functions),
    blocks: sumOf(coverage, ({ blocks }) => blocks),
    corpus: result?.corpus.length ?? 0,
    peak_growth_mib: round((result?.peakGrowthBytes ?? 0) / MIB),
    kept_bytes_per_input:
      result?.growth === null || result === null ? null : round(result.growth.bytesPerInput, 1),
    slowest_ms: round(result?.slowest.ms ?? 0, 1),
    slowest_bytes: result?.slowest.input.length ?? 0,
    findings: findings.map((finding) => ({
      type: finding.type,
      what: finding.what,
      after: finding.after,
      bytes: finding.input.length,
      file: fileOf(finding),
    })),
  };
}

const COLUMNS: readonly (readonly [string, (report: ParserReport) => string])[] = [
  ['parser', ({ parser }) => parser],
  ['inputs', ({ inputs }) => inputs.toLocaleString('en')],
  ['inputs/s', (report) => report.inputs_per_second.toLocaleString('en')],
  ['CPU µs', (report) => String(report.cpu_us_per_input)],
  ['functions', ({ functions }) => functions],
  ['blocks', ({ blocks }) => blocks],
  ['corpus', ({ corpus }) => String(corpus)],
  ['peak MiB', (report) => `+${report.peak_growth_mib}`],
  ['kept B/input', (report) => String(report.kept_bytes_per_input ?? '-')],
  ['slowest', (report) => `${report.slowest_ms} ms (${report.slowest_bytes} B)`],
  ['findings', ({ findings }) => String(findings.length)],
];

export function tableOf(reports: readonly ParserReport[]): string {
  const rows = [
    COLUMNS.map(([title]) => title),
    ...reports.map((report) => COLUMNS.map(([, cell]) => cell(report))),
  ];
  const widths = COLUMNS.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  '),
  );
  return `${lines.join('\n')}\n`;
}

export function findingsText(reports: readonly ParserReport[]): string {
  const lines = reports.flatMap(({ parser, findings }) =>
    findings.map(
      ({ type, what, after, bytes, file }) =>
        `${parser}: ${type} after ${after.toLocaleString('en')} inputs: ${what}\n  ${bytes} bytes in ${file}`,
    ),
  );
  return lines.map((line) => `${line}\n`).join('');
}

function isMissed(line: string, ran: Uint8Array, start: number): boolean {
  for (let at = 0; at < line.length; at++) {
    if (ran[start + at] === 0 && /[A-Za-z0-9'`]/u.test(line.charAt(at))) return true;
  }
  return false;
}

/** What no parser reached, over several parsers of the same files. */
export class Unreached {
  readonly #files = new Map<string, Uint8Array>();

  add(coverage: readonly FileCoverage[]): void {
    for (const { file, ran } of coverage) {
      const known = this.#files.get(file);
      if (known === undefined) this.#files.set(file, ran.slice());
      else for (const [at, value] of ran.entries()) if (value === 1) known[at] = 1;
    }
  }

  /** Lines with code that did not run, by file. */
  lines(): ReadonlyMap<string, readonly { readonly line: number; readonly text: string }[]> {
    return new Map(
      Array.from(this.#files, ([file, ran]) => {
        const text = readFileSync(join(ROOT, file), 'utf8');
        const found: { line: number; text: string }[] = [];
        let start = 0;
        for (const [index, line] of text.split('\n').entries()) {
          if (isMissed(line, ran, start)) found.push({ line: index + 1, text: line });
          start += line.length + 1;
        }
        return [file, found] as const;
      }),
    );
  }

  text(): string {
    const blocks = Array.from(this.lines(), ([file, lines]) =>
      lines.length === 0
        ? `${file}: all reached\n`
        : `${file}: not reached\n${lines.map(({ line, text }) => formatWithOptions({}, '%s %s\n', String(line).padStart(5), text)).join('')}`,
    );
    return blocks.join('');
  }
}
