// The connector processes: so many at most, made when they are needed, each ended after 200 jobs or a quarter of an hour,
// since what JavaScript has held as a string cannot be wiped. One that breaks a rule or its time is ended at once.

import type { Duplex } from 'node:stream';
import { ConnectorLink } from './connector-link.ts';
import type { Time } from './time.ts';

export const MAX_JOBS_PER_CONNECTOR = 200;
export const CONNECTOR_MS: number = 15 * 60_000;

export interface PoolOptions {
  readonly time: Time;
  readonly size: number;
  readonly spawn: () => Promise<Duplex>;
  readonly runAsync: (work: () => Promise<void>) => Promise<void>;
  /** Also for one that failed. */
  readonly onRecycled: () => void;
}

interface Place {
  link: ConnectorLink | null;
  busy: boolean;
  cancelAge: () => void;
}

export class ConnectorPool {
  readonly #options: PoolOptions;
  readonly #places: Place[];
  readonly counters = { connectors_started: 0, connectors_failed: 0, connectors_recycled: 0 };

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#places = Array.from({ length: options.size }, () => ({
      link: null,
      busy: false,
      cancelAge: () => undefined,
    }));
  }

  get size(): number {
    return this.#places.length;
  }

  get running(): number {
    return this.#places.filter(({ link }) => link !== null).length;
  }

  get hasFree(): boolean {
    return this.#places.some(({ busy }) => !busy);
  }

  /**
   * Runs `work` on a free connector, a new one if there is none; call it only while `hasFree`. Null when none could
   * be started.
   */
  async use<T>(work: (link: ConnectorLink) => Promise<T>): Promise<T | null> {
    const free = this.#places.filter(({ busy }) => !busy);
    const place = free.find(({ link }) => link !== null) ?? free[0];
    if (place === undefined) throw new Error('no free connector');
    place.busy = true;
    try {
      place.link ??= await this.#start(place);
      return place.link === null ? null : await work(place.link);
    } finally {
      place.busy = false;
      if ((place.link?.jobs ?? 0) >= MAX_JOBS_PER_CONNECTOR) this.#end(place);
    }
  }

  close(): void {
    for (const place of this.#places) place.link?.destroy();
  }

  async #start(place: Place): Promise<ConnectorLink | null> {
    const { spawn, runAsync, time } = this.#options;
    const stream = await spawn().catch(() => null);
    if (stream === null) {
      this.counters.connectors_failed++;
      return null;
    }
    this.counters.connectors_started++;
    const link = new ConnectorLink(stream, runAsync, () => {
      if (place.link === link) this.#detach(place);
    });
    const age = (): void => {
      // One that works has the time of its job left.
      if (place.busy) place.cancelAge = time.after(1000, age);
      else this.#end(place);
    };
    place.cancelAge = time.after(CONNECTOR_MS, age);
    return link;
  }

  #detach(place: Place): void {
    place.link = null;
    place.cancelAge();
    this.counters.connectors_recycled++;
    this.#options.onRecycled();
  }

  /** The next job gets another one at once. */
  #end(place: Place): void {
    const { link } = place;
    if (link === null) return;
    this.#detach(place);
    link.close();
  }
}
