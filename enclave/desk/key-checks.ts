// Keys that somebody hands over are asked for what they may do, before an account is opened for them. So many at a time:
// whoever sends more is refused, and all that wait are when the desk closes.

import { TRIGGER } from '../../wire/exchange-call.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Account, Permissions } from './accounts.ts';
import type { JobQueue } from './job-queue.ts';
import type { JobRunner } from './job-runner.ts';
import { PRIORITY } from './poll-entry.ts';
import { codeOf } from './poll-leaf.ts';

const MAX_CHECKS = 64;

export class KeyChecks {
  readonly #queue: JobQueue;
  readonly #runner: JobRunner;
  #waiting = 0;

  constructor(queue: JobQueue, runner: JobRunner) {
    this.#queue = queue;
    this.#runner = runner;
  }

  async check(account: Account): Promise<Result<Permissions>> {
    if (this.#waiting >= MAX_CHECKS) return refuse('rate_limited');
    this.#waiting++;
    const { promise, resolve } = Promise.withResolvers<Result<Permissions>>();
    this.#queue.add(
      account,
      PRIORITY.check,
      async () => {
        resolve(await this.#run(account));
      },
      () => {
        resolve(refuse('rate_limited'));
      },
    );
    const result = await promise;
    this.#waiting--;
    return result;
  }

  async #run(account: Account): Promise<Result<Permissions>> {
    const { done, reason } = await this.#runner.single(account, TRIGGER.registration);
    const permissions = done?.permissions ?? null;
    if (done?.outcome === 'failed' || permissions === null) {
      const why = reason ?? 'connector';
      return refuse(codeOf(why), { class: why });
    }
    return accept(permissions);
  }
}
