// A connector's side of its stream: jobs from the desk, one at a time, each with a run of its own.

import type { ByteStream } from '../../wire/channel.ts';
import { ADAPTERS } from './adapters.ts';
import type { Job } from './job.ts';
import { Line } from './line.ts';
import { openPrices } from './prices.ts';
import { Run } from './run.ts';
import { work } from './work.ts';

/** The desk sends the next job after DONE; more than this waiting is not the desk. */
const MAX_WAITING_JOBS = 16;

/** `onEnd` once: the stream is over, or a bug of ours made the process useless. */
export function serveConnector(stream: ByteStream, onEnd: (bug: boolean) => void): void {
  const waiting: Job[] = [];
  let current: Run | null = null;

  const next = (): void => {
    const job = waiting.shift();
    if (job === undefined) return;
    const run = new Run(job, line);
    current = run;
    work(run, line, job.kind === 'prices' ? openPrices : ADAPTERS[job.venue]).then(
      () => {
        current = null;
        next();
      },
      () => {
        onEnd(true);
      },
    );
  };

  const line = new Line(stream, {
    onJob: (job) => {
      if (waiting.length >= MAX_WAITING_JOBS) {
        onEnd(true);
        return;
      }
      waiting.push(job);
      if (current === null) next();
    },
    onAbort: (id) => {
      const at = waiting.findIndex((job) => job.id === id);
      if (at >= 0) waiting.splice(at, 1);
      if (current?.job.id !== id) return;
      current.abort();
      line.dropCalls();
    },
    onEnd: () => {
      onEnd(false);
    },
  });
}
