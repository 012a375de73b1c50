// The track record in the demo, as an allocator gets it: the file that the trader's client fetched, verified statement by statement
// with the command that anybody runs, and printed as a report. What it has to show: hours with returns, a deposit that does
// not move them, an outage that is a gap and not a loss, and books that reconcile to the last digit.

import { join } from 'node:path';
import { run as report } from '../verifier/commands/report.ts';
import { run as verifyRecord } from '../verifier/commands/verify-record.ts';
import type { CommandIo } from '../verifier/io.ts';
import type { HourJson, RecordVerdict } from '../verifier/track/record-verdict.ts';

/** A deposit moved a return when the hour shows more than this part of what it added. */
const MOVED = 0.1;

export interface RecordDemo {
  readonly verdict: RecordVerdict['verdict'] | null;
  readonly code: string | null;
  /** Of the report, HTML. */
  readonly report: string;
  readonly hours: number;
  readonly returns: number;
  /** Over the hours that are known. */
  readonly observed: string | null;
  /** The newest hours, newest last. */
  readonly latest: readonly HourJson[];
  readonly deposits: readonly DepositHour[];
  readonly gaps: NonNullable<RecordVerdict['record']>['gaps'];
  /** Hours in which the venue's balances were compared with the ledger, and the sum of what differed, without signs. */
  readonly reconciled: number;
  readonly residual: string | null;
}

export interface DepositHour {
  readonly start_ms: number;
  readonly inflow: string;
  readonly equity_start: string;
  readonly return: string;
  readonly moved: boolean;
}

type Run = (args: readonly string[], io: CommandIo) => Promise<number>;

async function capture(run: Run, args: readonly string[]): Promise<string> {
  let out = '';
  const io: CommandIo = {
    stdout: (part) => {
      out += part;
    },
    stderr: () => undefined,
    env: {},
    isTerminal: false,
  };
  await run([...args, '--json'], io);
  return out;
}

/** Deposits into an account that had something already: the first one is its beginning. */
function depositsOf(hours: readonly HourJson[]): readonly DepositHour[] {
  return hours.flatMap((hour) => {
    const { start_ms, inflow, equity_start: start, return: ratio } = hour;
    if (inflow === null || start === null || ratio === null) return [];
    if (Number(inflow) <= 0 || Number(start) <= 0) return [];
    const added = Number(inflow) / Number(start);
    const moved = Math.abs(Number(ratio)) > MOVED * added;
    return [{ start_ms, inflow, equity_start: start, return: ratio, moved }];
  });
}

/** `file`: as `trackseal session track` keeps it; `attestation`: of its epoch. */
export async function proveRecord(
  file: string,
  attestation: string,
  trust: readonly string[],
  folder: string,
): Promise<RecordDemo> {
  const output = join(folder, 'track-record.html');
  const args = [file, '--attestation', attestation, ...trust];
  const said = await capture(verifyRecord, args);
  const verdict = said === '' ? null : (JSON.parse(said) as Partial<RecordVerdict>);
  await capture(report, [...args, '-o', output]);
  const record = verdict?.record ?? null;
  const hours = record?.hourly ?? [];
  const figure = record?.figures['residual_absolute'] ?? null;
  return {
    verdict: verdict?.verdict ?? null,
    code: verdict?.code ?? null,
    report: output,
    hours: hours.length,
    returns: hours.filter((hour) => hour.return !== null).length,
    observed: textOrNull(record?.figures['return_observed']),
    latest: hours.slice(-6),
    deposits: depositsOf(hours),
    gaps: record?.gaps ?? [],
    reconciled: hours.filter(({ status }) => status === 'reconciled').length,
    residual: textOrNull(figure),
  };
}

function textOrNull(value: string | number | null | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

/** Everything that the record of the demo's story has to show. */
export function showsAll({
  verdict,
  returns,
  deposits,
  gaps,
  reconciled,
  residual,
}: RecordDemo): boolean {
  const held = verdict === 'verified' && returns > 0 && reconciled > 0 && residual === '0';
  return held && deposits.length > 0 && deposits.every(({ moved }) => !moved) && gaps.length > 0;
}

function percent(ratio: string | null): string {
  return ratio === null ? 'not known' : `${(Number(ratio) * 100).toFixed(3)} %`;
}

function clock(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

/** Name and text of each line of the demo's summary. */
export function recordRows(record: RecordDemo): readonly (readonly [string, string])[] {
  const { verdict, code, hours, returns, observed, deposits, gaps, reconciled, residual } = record;
  const head = `${verdict ?? 'none'}${code === null ? '' : ` (${code})`}: ${hours} signed hours, ${returns} with a return`;
  const hourly = record.latest.map(
    (hour) => ['', `${clock(hour.start_ms)}  ${percent(hour.return)}`] as const,
  );
  const paid = deposits.map(
    ({ start_ms: at, inflow, equity_start: start, return: ratio }) =>
      [
        '',
        `${clock(at)}  ${inflow} USD came into ${Number(start).toFixed(2)}: return ${percent(ratio)}`,
      ] as const,
  );
  const missing = gaps.map(
    ({ from_ms: from, to_ms: to, reason }) =>
      ['', `${clock(from)} to ${clock(to)}  a gap (${reason}), never a zero`] as const,
  );
  return [
    ['track record', head],
    ['', `${percent(observed)} in the hours that are known; the last of them:`],
    ...hourly,
    ...paid,
    ...missing,
    [
      '',
      `${reconciled} hours reconcile with the exchange, residual ${residual ?? 'not known'} USD`,
    ],
    ['', record.report],
  ];
}
