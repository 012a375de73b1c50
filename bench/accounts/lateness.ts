// When polls began against when they were due: by venue, and apart for the time in which registrations were still under way.
// A poll that was missed has no lateness, only its count.

import { OUTCOME, TRIGGER } from '../../wire/exchange-call.ts';
import type { ExchangePoll } from '../../wire/exchange-call.ts';

export interface TimedPoll {
  readonly venue: string;
  readonly trigger: ExchangePoll['trigger'];
  readonly outcome: ExchangePoll['outcome'];
  /** Of its slot's time for the account; of a registration when it was asked for. */
  readonly dueMs: number;
  readonly startedMs: number;
  readonly endedMs: number;
  readonly calls: number;
  /** Counted for our address, in the venue's unit. */
  readonly weight: number;
  readonly refusal: string;
}

/** In seconds; the share of the sorted numbers that is below it. */
export function secondsAt(numbersMs: readonly number[], share: number): string {
  const sorted = [...numbersMs].sort((a, b) => a - b);
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * share));
  return ((sorted[at] ?? 0) / 1000).toFixed(2);
}

export function isScheduled({ trigger }: Pick<TimedPoll, 'trigger'>): boolean {
  return trigger === TRIGGER.schedule || trigger === TRIGGER.snapshot;
}

export function ran(polls: readonly TimedPoll[]): readonly TimedPoll[] {
  return polls.filter(({ outcome }) => outcome !== OUTCOME.missed);
}

const lateOf = (polls: readonly TimedPoll[]): number[] =>
  polls.map(({ startedMs, dueMs }) => startedMs - dueMs);
const tookOf = (polls: readonly TimedPoll[]): number[] =>
  polls.map(({ endedMs, startedMs }) => endedMs - startedMs);

function mean(numbers: readonly number[]): string {
  const sum = numbers.reduce((all, number) => all + number, 0);
  return (sum / Math.max(1, numbers.length)).toFixed(1);
}

/** p50, p99 and the most. */
function cells(numbersMs: readonly number[]): string {
  return [0.5, 0.99, 1].map((share) => secondsAt(numbersMs, share).padStart(7)).join(' ');
}

function row(name: string, polls: readonly TimedPoll[]): string {
  const done = ran(polls);
  const [late, took] = [lateOf(done), tookOf(done)];
  return [
    `  ${name.padEnd(24)}`,
    String(polls.length).padStart(6),
    String(polls.length - done.length).padStart(7),
    `   ${cells(late)}`,
    `   ${cells(took)}`,
    mean(done.map(({ calls }) => calls)).padStart(9),
    mean(done.map(({ weight }) => weight)).padStart(9),
  ].join('');
}

/** When the last registration that ran was over; `fromMs` without any. */
export function registeredMs(polls: readonly TimedPoll[], fromMs: number): number {
  const registrations = ran(polls).filter(({ trigger }) => trigger === TRIGGER.registration);
  return Math.max(fromMs, ...registrations.map(({ endedMs }) => endedMs));
}

/** How often each reason was given for a poll that was missed. */
function reasons(polls: readonly TimedPoll[]): string {
  const counts = new Map<string, number>();
  for (const { outcome, refusal } of polls) {
    if (outcome === OUTCOME.missed) counts.set(refusal, (counts.get(refusal) ?? 0) + 1);
  }
  return [...counts].map(([reason, count]) => `${reason} ${count}`).join(', ');
}

type Rows = (readonly [name: string, polls: readonly TimedPoll[]])[];

function byVenue(polls: readonly TimedPoll[], venues: readonly string[]): Rows {
  return venues.map((name) => [`  ${name}`, polls.filter(({ venue }) => venue === name)]);
}

/** Lines of a table: registrations, then scheduled polls by phase and venue. */
export function lateness(polls: readonly TimedPoll[], startMs: number): readonly string[] {
  const untilMs = registeredMs(polls, startMs);
  const scheduled = polls.filter(isScheduled);
  const venues = [...new Set(polls.map(({ venue }) => venue))].sort();
  const phases: Rows = [
    ['registration', polls.filter(({ trigger }) => trigger === TRIGGER.registration)],
    ['due while registering', scheduled.filter(({ dueMs }) => dueMs <= untilMs)],
    ['due after', scheduled.filter(({ dueMs }) => dueMs > untilMs)],
  ];
  const rows = phases.flatMap((phase) => [phase].concat(byVenue(phase[1], venues)));
  return [
    `by venue  registrations were over after ${((untilMs - startMs) / 1000).toFixed(0)} s`,
    '                           polls  missed   late p50     p99    most   took p50     p99    most    calls   weight',
    ...rows.map(([name, of]) => row(name, of)),
    `  missed because  ${reasons(polls) || 'none'}`,
  ];
}
