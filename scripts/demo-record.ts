// The track record in the demo, as an allocator gets it: the file that the trader's client fetched, verified statement by statement
// with the command that anybody runs, and printed as a report. What it has to show: hours with returns, a deposit that does
// not move them, an outage that is a gap and not a loss, and books that reconcile to the last digit.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run as report } from '../verifier/commands/report.ts';
import { run as verifyRecord } from '../verifier/commands/verify-record.ts';
import type { CommandIo } from '../verifier/io.ts';
import type { HourJson } from '../verifier/track/hour-json.ts';
import type { RecordVerdict } from '../verifier/track/record-verdict.ts';
import type { Fixed } from '../wire/fixed.ts';
import { absolute, formatFixed, parseFixed } from '../wire/fixed.ts';
import { exactRatio } from '../wire/performance/ratio.ts';
import { assertAccepted } from '../wire/result.ts';
import { parseTrackEvidence } from '../wire/track/evidence.ts';
import { HOUR_MS } from '../wire/track/figures.ts';
import type { HourStatement } from '../wire/track/hour.ts';
import { parseTrackStatement } from '../wire/track/statement.ts';

/**
 * How far the most lively of the markets that the account is in went within an hour, 0.01 is 1 %: nothing that is held
 * can have made more or lost more. The exchange is simulated, so this is known.
 */
export type MoveOf = (startMs: number) => number;

export interface RecordDemo {
  readonly verdict: RecordVerdict['verdict'] | null;
  readonly code: string | null;
  /** Of the report, HTML. */
  readonly report: string;
  readonly hours: number;
  readonly returns: number;
  /** Over the hours that are known, of those that were worked out backwards where there are such. */
  readonly observed: string | null;
  /** With what the value changed over the gaps. */
  readonly bridged: string | null;
  /** Hours with a return that the enclave saw while they went on. */
  readonly seen: number;
  /** Their return, which is that of the record. */
  readonly headline: string | null;
  /** Of those the hours in which the venue's balances were compared with the ledger. */
  readonly compared: readonly ComparedHour[];
  /** The newest hours, newest last. */
  readonly latest: readonly HourJson[];
  readonly deposits: readonly DepositHour[];
  /** Of the time before the registration and of that since; nothing is put in their place. */
  readonly gaps: NonNullable<RecordVerdict['record']>['gaps'];
  /** Hours in which the venue's balances were compared with the ledger, and the sum of what differed, without signs. */
  readonly reconciled: number;
  readonly residual: string | null;
  /** Hours that have to be reconciled with residual 0 and are not: those since the first poll, and all that were compared. */
  readonly unreconciled: number;
  /**
   * Value before the first record. The account was opened in the time that the record is about, so that taking every record
   * off what the exchange shows now has to end at nothing: a record that is missing or counted twice would be left.
   */
  readonly opening: string | null;
  /** Of the hours with a return, those whose change of value is the sum of its parts, to the last digit. */
  readonly explained: number;
}

export interface ComparedHour {
  readonly start_ms: number;
  readonly trades: number;
  readonly status: string;
  readonly residual: string;
}

export interface DepositHour {
  readonly start_ms: number;
  readonly inflow: string;
  readonly equity_start: string;
  readonly return: string;
  /** From one signed value to the next, the values right before and after each flow among them, multiplied. */
  readonly chained: string | null;
  /** The largest return, and loss, that the markets allow. */
  readonly bound: number;
  /** The return is not that product, or more than the markets moved. */
  readonly moved: boolean;
}

/** Change of value less all that explains it; null where something of it is not known. */
function unexplainedOf({ figures }: HourStatement): Fixed | null {
  const { equityStart, equityEnd, realised, unrealisedChange, funding, fees, income } = figures;
  const { inflow, outflow, residual } = figures;
  if (equityStart === null || equityEnd === null || fees === null || outflow === null) return null;
  let rest = equityEnd - equityStart + fees + outflow - (residual ?? 0n);
  for (const amount of [realised, unrealisedChange, funding, income, inflow]) {
    if (amount === null) return null;
    rest -= amount;
  }
  return rest;
}

/** The signed hours of a file of `trackseal session track`; throws for anything else. */
export async function readHours(file: string): Promise<readonly HourStatement[]> {
  const { statements } = assertAccepted(parseTrackEvidence(new Uint8Array(await readFile(file))));
  return statements
    .map(({ statement }) => assertAccepted(parseTrackStatement(statement)))
    .flatMap((statement) => (statement.kind === 'hour' ? [statement] : []));
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

/** Flows of one moment are one; null where a value is not known, or a residual is in it. */
function chainedReturn({ figures }: HourStatement): string | null {
  const { equityStart, equityEnd, flows, residual } = figures;
  if (equityStart === null || equityEnd === null || (residual ?? 0n) !== 0n) return null;
  let [over, under, before] = [1n, 1n, equityStart];
  for (const { atMs } of flows.filter((one, at) => flows[at - 1]?.atMs !== one.atMs)) {
    const paid = flows.filter((one) => one.atMs === atMs);
    const value = paid[0]?.equityBefore ?? null;
    if (value === null || before <= 0n) return null;
    [over, under, before] = [over * value, under * before, value];
    for (const { amount } of paid) {
      if (amount === null) return null;
      before += amount;
    }
  }
  return before <= 0n ? null : exactRatio(over * equityEnd - under * before, under * before);
}

/** It began and ended while the account was polled, and was held against the venue's balances. */
export function isSeen({ figures }: HourStatement): boolean {
  return !figures.rebuilt && figures.residual !== null;
}

function comparedOf(hours: readonly HourStatement[]): readonly ComparedHour[] {
  return hours
    .filter((hour) => isSeen(hour))
    .map(({ figures }) => {
      const { startMs, trades, status, residual } = figures;
      return { start_ms: startMs, trades, status, residual: formatFixed(residual ?? 0n) };
    });
}

/** Deposits into an account that had something already: the first one is its beginning. */
function depositsOf(hours: readonly HourStatement[], moveOf: MoveOf): readonly DepositHour[] {
  return hours.flatMap((hour) => {
    const { startMs, inflow, equityStart, flows } = hour.figures;
    const { ratio } = hour.return;
    if (inflow === null || equityStart === null || ratio === null) return [];
    if (inflow <= 0n || equityStart <= 0n) return [];
    const chained = chainedReturn(hour);
    // What is held may change at a flow: each time from one to the next has its own move.
    const bound = (1 + moveOf(startMs)) ** (flows.length + 1) - 1;
    const moved = chained !== ratio || !(Math.abs(Number(ratio)) <= bound);
    const [inflowText, start] = [formatFixed(inflow), formatFixed(equityStart)];
    return [
      {
        start_ms: startMs,
        inflow: inflowText,
        equity_start: start,
        return: ratio,
        chained,
        bound,
        moved,
      },
    ];
  });
}

export interface ProvedAgainst {
  /** As `trackseal session track` keeps it. */
  readonly file: string;
  /** Of its epoch. */
  readonly attestation: string;
  readonly trust: readonly string[];
  /** For the report. */
  readonly folder: string;
  readonly moveOf: MoveOf;
  /** When the first complete poll was over: hours that end later have balances to be compared with. */
  readonly polledMs: number;
}

export async function proveRecord(proved: ProvedAgainst): Promise<RecordDemo> {
  const { file, attestation, trust, folder, moveOf, polledMs } = proved;
  const output = join(folder, 'track-record.html');
  const args = [file, '--attestation', attestation, ...trust];
  const said = await capture(verifyRecord, args);
  const verdict = said === '' ? null : (JSON.parse(said) as Partial<RecordVerdict>);
  await capture(report, [...args, '-o', output]);
  const record = verdict?.record ?? null;
  const hours = record?.hourly ?? [];
  const signed = verdict?.verdict === 'verified' ? newestOf(await readHours(file)) : [];
  // Hours of before the registration are in no figure but their own.
  const part = hours.some(({ rebuilt }) => rebuilt) ? 'rebuilt.' : '';
  return {
    verdict: verdict?.verdict ?? null,
    code: verdict?.code ?? null,
    report: output,
    hours: hours.length,
    returns: hours.filter((hour) => hour.return !== null).length,
    observed: textOrNull(record?.figures[`${part}return_observed`]),
    bridged: textOrNull(record?.figures[`${part}return_bridged`]),
    seen: hours.filter((hour) => !hour.rebuilt && hour.return !== null).length,
    headline: textOrNull(record?.figures['return']),
    compared: comparedOf(signed),
    latest: hours.slice(-8),
    deposits: depositsOf(signed, moveOf),
    gaps: [...(record?.rebuilt_gaps ?? []), ...(record?.gaps ?? [])],
    reconciled: hours.filter(({ status }) => status === 'reconciled').length,
    residual: residualOf(hours),
    unreconciled: hours.filter((hour) => !isReconciled(hour, polledMs)).length,
    opening: hours[0]?.equity_start ?? null,
    explained: signed.filter((hour) => hour.return.ratio !== null && unexplainedOf(hour) === 0n)
      .length,
  };
}

/** What holds now: a correction comes after what it replaces. */
function newestOf(hours: readonly HourStatement[]): readonly HourStatement[] {
  return [...new Map(hours.map((hour) => [hour.figures.startMs, hour])).values()];
}

/** An hour that was over before the first poll has no balances to be compared with, and says so. */
function isReconciled(
  { start_ms: startMs, status, residual }: HourJson,
  polledMs: number,
): boolean {
  if (status === 'unknown' && residual === null) return startMs + HOUR_MS <= polledMs;
  return status === 'reconciled' && residual === '0';
}

/** Without signs; null where balances and ledger were compared in no hour. */
function residualOf(hours: readonly HourJson[]): string | null {
  const known = hours.flatMap(({ residual }) => (residual === null ? [] : [residual]));
  const sum = known.reduce((total, text) => total + absolute(parseFixed(text) ?? 0n), 0n);
  return known.length === 0 ? null : formatFixed(sum);
}

function textOrNull(value: string | number | null | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

/**
 * Everything that the record of the demo's story has to show. The hours of before are rebuilt, from the exchange's balances backwards,
 * and what is left before the first record is their residual: 0. An hour since the first poll is compared with balances when it
 * closes, and has to be reconciled with residual 0. `sees`: one was to pass, with a trade in it.
 */
export function showsAll(record: RecordDemo, sees: boolean): boolean {
  const { verdict, returns, deposits, gaps, explained, opening, unreconciled } = record;
  const isWhole = explained === returns && opening === '0' && unreconciled === 0;
  const isThere = !sees || record.compared.some(({ trades }) => trades > 0);
  const held = verdict === 'verified' && returns > 0 && isWhole && isThere;
  return held && deposits.length > 0 && deposits.every(({ moved }) => !moved) && gaps.length > 0;
}

function percent(ratio: string | null): string {
  return ratio === null ? 'not known' : `${(Number(ratio) * 100).toFixed(3)} %`;
}

function clock(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}

/** What became of the value over a gap is known where it is known on both sides. */
function changeOver(change: string | null): string {
  return change === null ? 'change not known' : `the value changed by ${percent(change)} over it`;
}

/** Name and text of each line of the demo's summary. */
export function recordRows(record: RecordDemo): readonly (readonly [string, string])[] {
  const { verdict, code, hours, returns, observed, bridged, seen, headline } = record;
  const { explained, opening, deposits, gaps, reconciled, residual, unreconciled } = record;
  const head = `${verdict ?? 'none'}${code === null ? '' : ` (${code})`}: ${hours} signed hours, ${returns} with a return`;
  const hourly = record.latest.map(
    (hour) =>
      [
        '',
        `${clock(hour.start_ms)}  ${percent(hour.return)}${hour.rebuilt ? '' : '  seen'}`,
      ] as const,
  );
  const paid = deposits.map(
    ({ start_ms: at, inflow, equity_start: start, return: ratio, bound, moved }) =>
      [
        '',
        `${clock(at)}  ${inflow} USD came into ${Number(start).toFixed(2)}: return ${percent(ratio)}, ${moved ? 'MOVED BY IT' : `not moved by it; markets went up to ${percent(String(bound))}`}`,
      ] as const,
  );
  const missing = gaps.map(
    ({ from_ms: from, to_ms: to, reason, change }) =>
      [
        '',
        `${clock(from)} to ${clock(to)}  a gap (${reason}), never a zero; ${changeOver(change)}`,
      ] as const,
  );
  const compared = record.compared.map(
    ({ start_ms: at, trades, status, residual: left }) =>
      [
        '',
        `${clock(at)}  seen from start to end, trades in it: ${trades}; ${status} with the exchange's balances, residual ${left}`,
      ] as const,
  );
  return [
    ['track record', head],
    [
      '',
      'hours before the registration are rebuilt from what the simulated exchange shows, and marked so',
    ],
    [
      '',
      `rebuilt: ${percent(bridged)} with what the gaps changed, ${percent(observed)} in the hours that are known; in no headline figure`,
    ],
    [
      '',
      `headline: the hours that the enclave saw from start to end, ${seen} so far${seen === 0 ? '; a demo lasts minutes' : `: ${percent(headline)}`}. The last of all:`,
    ],
    ...hourly,
    ...paid,
    ...missing,
    ...compared,
    [
      '',
      `${explained} of ${returns} hours with a return: change of value = profit − fees + flows, to the last digit`,
    ],
    [
      '',
      `reconciled: the exchange's balances less every record leave ${opening ?? 'nothing known'}; 0 is residual zero`,
    ],
    [
      '',
      `${reconciled} hours compared with balances since, residual ${reconciled === 0 ? 'not told yet' : (residual ?? 'not known')}: an hour is when it closes${unreconciled === 0 ? '' : `; ${unreconciled} NOT RECONCILED`}`,
    ],
    ['', record.report],
  ];
}
