// Where the parts of the ledger are put together, and what each needs of the others.

import type { LedgerPart, LedgerServices } from './services.ts';

/** Without a database nothing outlives this process, and the desk need not keep what it has told. */
class Records implements LedgerPart {
  readonly counters = { polls: 0 };

  constructor(services: LedgerServices) {
    services.onPoll(({ id, poll }) => {
      this.counters.polls++;
      services.takePoll(id, poll, false);
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export function openParts(services: LedgerServices): Promise<readonly LedgerPart[]> {
  return Promise.resolve([new Records(services)]);
}
