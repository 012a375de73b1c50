// What the log says when nothing happens: a time anchor every so often, whose document ties the last
// acknowledged root to the hypervisor's clock, and a heartbeat after silence. An anchor is also where
// the guest's clock is compared with NSM time: beyond the limit signing stops for good.

import { PURPOSE } from '../wire/attestation/user-data.ts';
import type { Configuration } from '../wire/configuration.ts';
import { KIND, LABEL, STREAM } from '../wire/leaf.ts';
import { encodeAnchor, encodeHeartbeat } from '../wire/enclave-payloads.ts';
import type { Attester } from './attester.ts';
import type { Clock } from './clock.ts';
import { checkDivergence } from './clock.ts';
import { orFatal } from './fatal.ts';
import type { Guard } from './fatal.ts';
import type { LogWriter } from './log/writer.ts';

export interface AnchorServices {
  readonly log: LogWriter;
  readonly clock: Clock;
  readonly attester: Attester;
  readonly guard: Guard;
  readonly configuration: Configuration;
}

export class Anchors {
  readonly #services: AnchorServices;
  #anchorTimer: NodeJS.Timeout | null = null;
  #heartbeatTimer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(services: AnchorServices) {
    this.#services = services;
  }

  start(): void {
    const { intervals } = this.#services.configuration;
    this.#scheduleAnchor(intervals.anchor_ms);
    this.#scheduleHeartbeat(intervals.heartbeat_ms);
  }

  /** Resolves when an anchor that is on its way is in the log. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#anchorTimer !== null) clearTimeout(this.#anchorTimer);
    if (this.#heartbeatTimer !== null) clearTimeout(this.#heartbeatTimer);
    await this.#running;
  }

  /** One anchor over the last acknowledged head. Throws a Fatal. */
  async anchor(): Promise<void> {
    const { log, attester, configuration } = this.#services;
    const head = log.acknowledged;
    if (head === null) return;
    const { document, reading } = orFatal(await attester.attest(PURPOSE.anchor, head, head.root));
    orFatal(checkDivergence(reading, configuration.limits.clock_divergence_ms));
    const plaintext = encodeAnchor({ size: head.size, document });
    const { enclave: stream } = STREAM;
    log.append({ kind: KIND.anchor, stream, label: LABEL.enclave, causes: [], plaintext });
  }

  #scheduleAnchor(delayMs: number): void {
    if (this.#stopped) return;
    this.#anchorTimer = setTimeout(() => {
      this.#running = this.#services.guard.runAsync(async () => {
        // A log that is full gets its anchor when it moves again.
        await this.#services.log.ready();
        if (this.#stopped) return;
        await this.anchor();
        this.#scheduleAnchor(delayMs);
      });
    }, delayMs);
  }

  #scheduleHeartbeat(delayMs: number): void {
    const { log, clock, guard, configuration } = this.#services;
    const silenceMs = configuration.intervals.heartbeat_ms;
    this.#heartbeatTimer = setTimeout(() => {
      guard.run(() => {
        const quietMs = Number((clock.nowNs() - log.lastLeafNs) / 1_000_000n);
        if (quietMs < silenceMs) {
          this.#scheduleHeartbeat(silenceMs - quietMs);
          return;
        }
        if (log.hasRoom) this.#heartbeat();
        this.#scheduleHeartbeat(silenceMs);
      });
    }, delayMs);
  }

  #heartbeat(): void {
    const { log } = this.#services;
    const plaintext = encodeHeartbeat({ acknowledgedSize: log.acknowledged?.size ?? 0 });
    const { enclave: stream } = STREAM;
    log.append({ kind: KIND.heartbeat, stream, label: LABEL.enclave, causes: [], plaintext });
  }
}
