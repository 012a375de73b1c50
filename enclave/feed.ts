// Port 5000: batches, declared gaps and execution reports come in, released outputs go out. One stream
// at a time; a second is refused while the first lives. Frames are taken one after the other, and only
// while the log, the strategies and the host's own reading have room: otherwise they wait, bounded by
// the credit, and the host stalls. What still waits when its stream breaks was not taken, and goes with
// it: a host that comes back again and again must not fill the memory. A stream that ends in order keeps
// its place until all of it was taken, so that last reports and gaps are not lost to a stall.

import { Channel } from '../wire/channel.ts';
import type { Frame } from '../wire/frame.ts';
import type { Label } from '../wire/leaf.ts';
import { KIND, LABEL, STREAM } from '../wire/leaf.ts';
import { FIRST_CREDIT_BYTES, MAX_FEED_IN_BYTES } from '../wire/limits.ts';
import type { Refused } from '../wire/enclave-messages.ts';
import { FRAME, PORT } from '../wire/enclave-messages.ts';
import type { Listener, Transport } from '../wire/node/transport.ts';
import type { Refusal } from '../wire/result.ts';
import type { Guard } from './fatal.ts';
import { Fifo } from './fifo.ts';
import type { Inputs } from './inputs.ts';
import type { LogWriter } from './log/writer.ts';
import type { Orders } from './orders.ts';
import type { Releases } from './release.ts';
import type { Strategies } from './strategies.ts';

export interface FeedServices {
  readonly log: LogWriter;
  readonly releases: Releases;
  readonly strategies: Strategies;
  readonly orders: Orders;
  readonly inputs: Inputs;
  readonly guard: Guard;
}

interface WaitingFrame {
  readonly frame: Frame;
  readonly label: Label;
  readonly taken: () => void;
}

type FeedStream = Parameters<Parameters<Transport['listen']>[1]>[0];

export class Feed {
  readonly #services: FeedServices;
  #waiting = new Fifo<WaitingFrame>();
  readonly #counters = {
    feed_streams: 0,
    feed_streams_refused: 0,
    feed_streams_broken: 0,
    reports: 0,
  };
  #listener: Listener | null = null;
  #channel: Channel | null = null;
  /** The host has ended its side of `#channel`, and some of it still waits. */
  #ending = false;
  #pumping = false;
  #stopped = false;

  constructor(services: FeedServices) {
    this.#services = services;
  }

  get counters(): Readonly<Record<string, number>> {
    return this.#counters;
  }

  async listen(transport: Transport): Promise<void> {
    this.#listener = await transport.listen(PORT.feed, (stream) => {
      this.#accept(stream);
    });
  }

  /** BATCH or GAP of the enclave's own connections; the promise says when it was taken. */
  receiveOwn(frame: Frame): void | Promise<void> {
    return this.#receive(frame, LABEL.tls);
  }

  /** Takes nothing more; what was taken goes its way. */
  stop(): void {
    this.#stopped = true;
  }

  /** Ends the stream after what is queued for it. */
  async close(): Promise<void> {
    this.stop();
    await Promise.all([this.#listener?.close(), this.#channel?.close()]);
  }

  #accept(stream: FeedStream): void {
    if (this.#channel !== null || this.#stopped) {
      this.#counters.feed_streams_refused++;
      stream.on('error', () => undefined);
      stream.destroy();
      return;
    }
    this.#counters.feed_streams++;
    const channel = new Channel(stream, {
      maxReceiveBytes: MAX_FEED_IN_BYTES,
      firstCreditBytes: FIRST_CREDIT_BYTES,
      types: [FRAME.batch, FRAME.gap, FRAME.report],
      onFrame: (frame) => this.#receive(frame, LABEL.host),
      onEnd: (refusal) => {
        this.#lose(channel, refusal);
      },
    });
    this.#channel = channel;
    this.#services.releases.attach(channel);
    // Nobody is there any more who could have meant the end of it as one in order.
    stream.once('close', () => {
      if (this.#ending && this.#channel === channel) this.#leave(channel);
    });
  }

  #lose(channel: Channel, refusal: Refusal | null): void {
    if (refusal !== null) this.#counters.feed_streams_broken++;
    if (this.#stopped) return;
    if (refusal === null && this.#waiting.length > 0) this.#ending = true;
    else this.#leave(channel);
  }

  #leave(channel: Channel): void {
    this.#ending = false;
    this.#services.releases.detach(channel);
    this.#forgetHost();
    // The next one is taken when nothing of this one is left.
    void channel.close().then(() => {
      if (this.#channel === channel) this.#channel = null;
    });
  }

  /** What the host sent and was not taken is not taken any more. */
  #forgetHost(): void {
    const waiting = this.#waiting;
    this.#waiting = new Fifo();
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (next.label === LABEL.tls) this.#waiting.push(next);
    }
  }

  get #hasRoom(): boolean {
    const { log, releases, strategies } = this.#services;
    return log.hasRoom && releases.hasRoom && strategies.hasRoom;
  }

  #receive(frame: Frame, label: Label): void | Promise<void> {
    if (this.#waiting.length === 0 && !this.#pumping && this.#hasRoom) {
      this.#services.guard.run(() => {
        this.#take(frame, label);
      });
      return undefined;
    }
    return new Promise((taken) => {
      this.#waiting.push({ frame, label, taken });
      void this.#services.guard.runAsync(() => this.#pump());
    });
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    const { log, releases, strategies } = this.#services;
    while (this.#waiting.length > 0) {
      while (!this.#hasRoom) {
        await Promise.all([log.ready(), releases.ready(), strategies.ready()]);
      }
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#take(next.frame, next.label);
      next.taken();
    }
    this.#pumping = false;
    if (this.#ending && this.#channel !== null) this.#leave(this.#channel);
  }

  #take({ type, payload }: Frame, label: Label): void {
    if (this.#stopped) return;
    const { inputs, releases } = this.#services;
    const refused =
      type === FRAME.batch
        ? inputs.takeBatch(payload, label)
        : type === FRAME.gap
          ? inputs.takeGap(payload, label)
          : this.#takeReport(payload);
    // The host hears of its own frames; what of ours is refused is counted, and has left its gap.
    if (refused !== null && label === LABEL.host) releases.refuse(refused);
  }

  #takeReport(payload: Uint8Array): Refused | null {
    const { log, orders, strategies } = this.#services;
    const taken = orders.take(payload);
    if (!taken.ok) return { code: taken.refusal.code, stream: null, sequence: null };
    const order = taken.value;
    const { index } = log.appendPrivate({
      kind: KIND.report,
      stream: STREAM.reports,
      label: LABEL.host,
      causes: order === null ? [] : [order.output],
      plaintext: payload,
    });
    this.#counters.reports++;
    if (order !== null) strategies.fill(order, index, payload);
    return null;
  }
}
