// Which reports an enclave has been sent and has not logged yet. Reports about an output are logged in the
// order in which they were sent, each as one leaf that names the output; late reports name none, but they
// too come in order. What an enclave refuses or never logs is told again, late, in the next epoch.

import type { Report } from '../../wire/payloads.ts';

interface Sent {
  readonly clientOrderId: string;
  /** Not logged yet. */
  reports: number;
  /** Nothing more will be said. */
  ended: boolean;
}

export class Telling {
  readonly #own = new Map<number, Sent>();
  readonly #late: Sent[] = [];

  /** `ended`: the last of these is the last report about its order. All are about one output. */
  sent(reports: readonly Report[], ended: boolean): void {
    const [first] = reports;
    if (first === undefined) return;
    const { output, clientOrderId, epoch } = first;
    if (epoch !== undefined) {
      this.#late.push({ clientOrderId, reports: reports.length, ended });
      return;
    }
    const before = this.#own.get(output)?.reports ?? 0;
    this.#own.set(output, { clientOrderId, reports: before + reports.length, ended });
  }

  /**
   * Report leaves that became durable, in their order: the output that each names, null for a late one.
   * Answers the client order ids about which all has been logged.
   */
  logged(outputs: readonly (number | null)[]): readonly string[] {
    return outputs.flatMap((output) => {
      const sent = output === null ? this.#late[0] : this.#own.get(output);
      if (sent === undefined) return [];
      sent.reports--;
      if (sent.reports > 0 || !sent.ended) return [];
      if (output === null) this.#late.shift();
      else this.#own.delete(output);
      return [sent.clientOrderId];
    });
  }
}
