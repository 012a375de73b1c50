// Makes a failing schedule shorter: leaves out hosts, batches and extras one by one, as long as it still
// fails. The clock and the event loop are real, so that a schedule does not fail every time: each is tried
// several times before it counts as one that does not.

import { runSchedule } from './run.ts';
import type { HostSchedule, Schedule } from './schedule.ts';

const TRIES = 3;
const MAX_STEPS = 60;

export interface Shortened {
  readonly shortest: Schedule;
  readonly findings: readonly string[];
}

export async function shorten(schedule: Schedule, found: readonly string[]): Promise<Shortened> {
  let shortest = schedule;
  let findings = found;
  for (let steps = 0, again = true; again && steps < MAX_STEPS;) {
    again = false;
    for (const shorter of shorterThan(shortest)) {
      steps++;
      const failed = await findingsOf(shorter);
      if (failed.length === 0) continue;
      [shortest, findings, again] = [shorter, failed, true];
      break;
    }
  }
  return { shortest, findings };
}

async function findingsOf(schedule: Schedule): Promise<readonly string[]> {
  for (let tries = 0; tries < TRIES; tries++) {
    const { findings } = await runSchedule(schedule);
    if (findings.length > 0) return findings;
  }
  return [];
}

function* shorterThan({ hosts, ...rest }: Schedule): Generator<Schedule> {
  for (const [at, host] of hosts.entries()) {
    const others = (replaced: readonly HostSchedule[]): Schedule => ({
      ...rest,
      hosts: [...hosts.slice(0, at), ...replaced, ...hosts.slice(at + 1)],
    });
    if (hosts.length > 1) yield others([]);
    if (host.fault.kind !== 'none') yield others([{ ...host, fault: { kind: 'none' } }]);
    if (host.batches > 0) {
      yield others([{ ...host, batches: Math.floor(host.batches / 2) }]);
      yield others([{ ...host, batches: host.batches - 1 }]);
    }
    if (host.stopAfter !== null) yield others([{ ...host, stopAfter: null }]);
    if (host.enclaveFrame !== null) yield others([{ ...host, enclaveFrame: null }]);
    if (host.latency !== 0) yield others([{ ...host, latency: 0 }]);
  }
}
