// One job from its frame to its DONE. Whatever fails is a class and a line of coverage, a parser's surprise too. A
// failure that would meet every other call too (keys, bans, a venue that is down) ends the job early, and what
// was not asked for any more is covered as such. Credentials are wiped where bytes can be.

import type { Adapter, OpenAdapter } from './adapter.ts';
import { CallError } from './call-error.ts';
import type { Coverage, CoverageSubject, ErrorClass, Venue } from './classes.ts';
import { encodeCursors, parseCursors, rewindCursors } from './cursors.ts';
import { DECLARED } from './declared.ts';
import type { Job } from './job.ts';
import type { Line } from './line.ts';
import { pagesOf } from './pages.ts';
import type { Done, Permissions } from './protocol.ts';
import type { Run } from './run.ts';
import type { MissingSource, Source, Walker } from './source.ts';
import { failureOf, reasonOf, walkHistory, walkMoment } from './source.ts';

/** Of any call: the next ones would end the same way. */
const ENDS_THE_JOB: ReadonlySet<ErrorClass> = new Set([
  'authentication',
  'account',
  'rate_limited',
  'banned',
  'maintenance',
  'geo_blocked',
  'tls_untrusted',
]);
const MAX_FAILED_SOURCES = 3;
/** Not the venue's word about one question, but a sign that it does not answer at all. */
const SIGNS_OF_OUTAGE: ReadonlySet<ErrorClass> = new Set(['network', 'timeout', 'unavailable']);
const MAX_COVERAGE = 1000;

class Walk {
  readonly coverage: Coverage[] = [];
  readonly walker: Walker;
  firstFailure: ErrorClass | null = null;
  #outages = 0;
  readonly #subject: CoverageSubject;

  constructor(run: Run, line: Line) {
    const { kind, cursors, reads, fromMs } = run.job;
    this.#subject = kind === 'prices' ? 'prices' : 'fills';
    this.walker = {
      cursors: rewindCursors(parseCursors(cursors), reads, fromMs),
      fromMs,
      nowMs: () => run.nowMs(),
      emit: async (records) => {
        for (const page of pagesOf(records))
          await line.records(run.job.id, page.kind, page.records);
      },
      cover: (coverage) => {
        if (this.coverage.length < MAX_COVERAGE) this.coverage.push(coverage);
      },
    };
  }

  /** True: go on with the next source. */
  async source(source: Source): Promise<boolean> {
    if (source.type === 'missing') {
      const { what, market, reason } = source;
      const toMs = this.walker.nowMs();
      this.walker.cover({ what, market, fromMs: toMs, toMs, complete: false, reason });
      return true;
    }
    const error = await this.#walk(source);
    if (error === null) {
      this.#outages = 0;
      return true;
    }
    this.firstFailure ??= error.errorClass;
    if (SIGNS_OF_OUTAGE.has(error.errorClass)) this.#outages++;
    return !ENDS_THE_JOB.has(error.errorClass) && this.#outages < MAX_FAILED_SOURCES;
  }

  #walk(source: Exclude<Source, MissingSource>): Promise<CallError | null> {
    if (source.type === 'whole') return source.walk(this.walker);
    return source.type === 'moment'
      ? walkMoment(source, this.walker)
      : walkHistory(source, this.walker);
  }

  /** What the venue does not have, or this version does not read: said at each poll. */
  coverDeclared(venue: Venue): void {
    const toMs = this.walker.nowMs();
    for (const [subject, declared] of Object.entries(DECLARED[venue])) {
      if (declared === 'given') continue;
      const what = subject as CoverageSubject;
      const span = { fromMs: toMs, toMs };
      this.walker.cover({ what, market: 'all', ...span, complete: false, reason: declared });
    }
  }

  /** What no source could speak for. */
  coverRest(reason: Coverage['reason']): void {
    const { cursors, fromMs, nowMs, cover } = this.walker;
    const done = [...cursors.sources.values()].map(({ doneToMs }) => doneToMs);
    const reached = done.length === 0 ? fromMs : Math.min(...done);
    cover({
      what: this.#subject,
      market: 'all',
      fromMs: reached,
      toMs: nowMs(),
      complete: false,
      reason,
    });
  }
}

async function walkAll(adapter: Adapter, walk: Walk, { kind, venue }: Job): Promise<void> {
  if (kind === 'poll') walk.coverDeclared(venue);
  for (const phase of adapter.phases) {
    for (const source of await phase()) {
      if (await walk.source(source)) continue;
      walk.coverRest(walk.firstFailure);
      return;
    }
  }
}

function outcomeOf({ coverage, firstFailure }: Walk): Done['outcome'] {
  const short = coverage.some(({ complete, reason }) => !complete && reason === 'budget');
  if (firstFailure === null && !short) return 'complete';
  return coverage.some(({ complete }) => complete) ? 'partial' : 'failed';
}

/** Sends DONE; rejects only for a bug, after which the process has to end. */
export async function work(run: Run, line: Line, open: OpenAdapter): Promise<void> {
  const { job } = run;
  const walk = new Walk(run, line);
  const { totals } = walk.walker.cursors;
  const totalsBefore = [...totals];
  let adapter: Adapter | null = null;
  let permissions: Permissions | null = null;
  try {
    adapter = await open(run, walk.walker.cursors);
    if (job.kind === 'check') permissions = await adapter.check();
    else await walkAll(adapter, walk, job);
  } catch (error) {
    const failure = failureOf(error);
    if (failure instanceof CallError) walk.firstFailure ??= failure.errorClass;
    walk.coverRest(reasonOf(failure));
  } finally {
    adapter?.close();
    const { apiKey, secret, passphrase } = job.credentials;
    for (const bytes of [apiKey, secret, passphrase]) bytes?.fill(0);
  }
  const outcome = outcomeOf(walk);
  if (outcome !== 'complete') {
    // Fills of what has changed were perhaps not asked for: it must be a change for the next job too.
    totals.clear();
    for (const [asset, total] of totalsBefore) totals.set(asset, total);
  }
  line.done({
    job: job.id,
    outcome,
    errorClass: walk.firstFailure,
    cursors: job.kind === 'poll' ? encodeCursors(walk.walker.cursors) : null,
    coverage: walk.coverage,
    permissions,
    clockOffsetMs: run.clockOffsetMs,
  });
}
