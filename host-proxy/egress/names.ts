// Names to addresses, by the system. Its resolver works in Node's pool of four threads, in which the log is
// written and synced too: who asks for a name that is being asked for waits for that answer, and no more than two
// are asked for at once. Nothing is kept: the next connection asks again, so that a name may move.

import { lookup as systemLookup } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

const MAX_AT_ONCE = 2;

export type Resolve = (
  name: string,
  done: (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void,
) => void;
type Waiting = Parameters<Resolve>[1];

const bySystem: Resolve = (name, done) => {
  systemLookup(name, { all: true }, done);
};

export class Names {
  readonly #resolve: Resolve;
  /** By name: who waits for the answer, in the order in which names were first asked for. */
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #asked = new Set<string>();

  constructor(resolve: Resolve = bySystem) {
    this.#resolve = resolve;
  }

  /** For `net.connect`, which with `autoSelectFamily` wants all addresses. */
  readonly lookup: LookupFunction = (name, { all = false }, callback) => {
    this.#ask(name, (error, addresses) => {
      const [first] = addresses;
      if (error !== null) callback(error, []);
      else if (all) callback(null, [...addresses]);
      else callback(null, first?.address ?? '', first?.family ?? 0);
    });
  };

  #ask(name: string, waiting: Waiting): void {
    const others = this.#waiting.get(name);
    if (others === undefined) this.#waiting.set(name, [waiting]);
    else others.push(waiting);
    this.#next();
  }

  #next(): void {
    for (const name of this.#waiting.keys()) {
      if (this.#asked.size >= MAX_AT_ONCE) return;
      if (this.#asked.has(name)) continue;
      this.#asked.add(name);
      this.#resolve(name, (error, addresses) => {
        this.#asked.delete(name);
        const all = this.#waiting.get(name) ?? [];
        this.#waiting.delete(name);
        for (const waiting of all) waiting(error, addresses);
        this.#next();
      });
    }
  }
}
