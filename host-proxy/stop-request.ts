// What a signal, or the end of a lease, asks of a host: to stop, and then that its enclave reaches nobody any more.

import type { DiskRoom } from './disk-room.ts';
import type { Host } from './host.ts';

/** A signal that comes while the host is still being opened is kept for it. */
export class StopRequest {
  readonly #asked = new AbortController();
  #host: Host | null = null;
  #room: DiskRoom | null = null;
  #isIsolated = false;

  readonly ask = (): void => {
    this.#asked.abort();
    if (this.#host === null) this.#room?.giveUp();
    else this.#host.stop();
  };

  /** The enclave may reach nobody any more. */
  readonly isolate = (): void => {
    this.#isIsolated = true;
    this.#host?.isolate();
  };

  get signal(): AbortSignal {
    return this.#asked.signal;
  }

  /** What opening may wait for. */
  waitsFor(room: DiskRoom): void {
    this.#room = room;
  }

  passTo(host: Host): void {
    this.#host = host;
    if (this.#isIsolated) host.isolate();
    if (this.#asked.signal.aborted) host.stop();
  }
}
