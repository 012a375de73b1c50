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
  let working = false;

  const next = (): void => {
    const job = waiting.shift();
    if (job === undefined) return;
    working = true;
    work(new Run(job, line), line, job.kind === 'prices' ? openPrices : ADAPTERS[job.venue]).then(
      () => {
        working = false;
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
      if (!working) next();
    },
    onEnd: () => {
      onEnd(false);
    },
  });
}
