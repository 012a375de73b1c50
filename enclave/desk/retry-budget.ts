// Retries of all jobs at one venue together: as many as a fifth of its calls, and a few to begin with, so that an outage
// is not answered with a multiple of the usual calls.

const SHARE = 0.2;
const MOST = 20;

export class RetryBudget {
  #tokens = MOST;

  /** For each call that went out. */
  earn(): void {
    this.#tokens = Math.min(MOST, this.#tokens + SHARE);
  }

  take(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
