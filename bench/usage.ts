// Processor time and memory of host, enclave and strategy between two moments of a run. The host is this
// process; the enclave is its child, and the strategy the enclave's.

import { pid } from 'node:process';
import type { ThreadTimes } from './process-usage.ts';
import {
  childrenOf,
  peakBytes,
  resetPeak,
  residentBytes,
  since,
  threadTimes,
} from './process-usage.ts';

export const PROCESSES = ['host', 'enclave', 'strategy'] as const;
export type ProcessName = (typeof PROCESSES)[number];

export interface ProcessReport extends ThreadTimes {
  /** Resident before the first event; the benchmark's own events are in the host's. */
  readonly beforeBytes: number;
  readonly peakBytes: number;
}

export type UsageReport = Readonly<Record<ProcessName, ProcessReport>>;

interface Watched {
  readonly id: number;
  readonly beforeBytes: number;
  readonly times: ThreadTimes;
}

function watch(id: number): Watched {
  resetPeak(id);
  return { id, beforeBytes: residentBytes(id), times: threadTimes(id) };
}

function only(children: readonly number[], what: string): number {
  const [child] = children;
  if (child === undefined || children.length !== 1) throw new Error(`there is not one ${what}`);
  return child;
}

function reportOf({ id, beforeBytes, times }: Watched): ProcessReport {
  return { ...since(times, threadTimes(id)), beforeBytes, peakBytes: peakBytes(id) };
}

export class Usage {
  #watched: Readonly<Record<ProcessName, Watched>> | null = null;
  #report: UsageReport | null = null;

  start(): void {
    const enclave = only(childrenOf(pid, 'simulator/main.ts'), 'enclave process');
    const strategy = only(childrenOf(enclave, 'strategy/runner.ts'), 'strategy process');
    this.#watched = { host: watch(pid), enclave: watch(enclave), strategy: watch(strategy) };
  }

  stop(): void {
    if (this.#watched === null || this.#report !== null) return;
    const { host, enclave, strategy } = this.#watched;
    this.#report = {
      host: reportOf(host),
      enclave: reportOf(enclave),
      strategy: reportOf(strategy),
    };
  }

  get report(): UsageReport {
    if (this.#report === null) throw new Error('the run has not ended');
    return this.#report;
  }
}
