// A desk that a test plays, frame by frame, in place of the real one.

import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import type { StartDesk } from '../../enclave/desk-link.ts';
import type { DeskKeys } from '../../enclave/desk/keys.ts';
import { generateDeskKeys, publicKeysOf } from '../../enclave/desk/keys.ts';
import { Channel } from '../../wire/channel.ts';
import type { DeskAppend } from '../../wire/desk-messages.ts';
import * as messages from '../../wire/desk-messages.ts';
import { DESK_FRAME } from '../../wire/desk-messages.ts';
import type { Frame } from '../../wire/frame.ts';
import { KIND } from '../../wire/leaf.ts';
import { FIRST_CREDIT_BULK_BYTES } from '../../wire/limits.ts';

const NOTHING = new Uint8Array(0);
const TO_DESK = Object.values(DESK_FRAME).filter((type) => type < DESK_FRAME.keys);

/** A desk in the hands of a test: it says its keys, and OPENED to OPEN, and nothing else by itself. */
export class PlayedDesk {
  readonly keys: DeskKeys = generateDeskKeys();
  readonly frames: Frame[] = [];
  channel: Channel | null = null;
  spawned = 0;
  lastSpawned = '';
  stopped = false;
  ended = false;
  answersOpen = true;
  answersShut = true;
  #stream: Duplex | null = null;
  #watchers: (() => void)[] = [];

  readonly start: StartDesk = () => {
    const [core, desk] = duplexPair();
    core.on('error', () => undefined);
    desk.on('error', () => undefined);
    core.on('close', () => desk.destroy());
    desk.on('close', () => core.destroy());
    this.#stream = desk;
    this.channel = new Channel(desk, {
      maxReceiveBytes: messages.MAX_DESK_IN_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: TO_DESK,
      onFrame: (frame) => {
        this.frames.push(frame);
        if (frame.type === DESK_FRAME.open && this.answersOpen) this.send(DESK_FRAME.opened);
        if (frame.type === DESK_FRAME.shut && this.answersShut) this.send(DESK_FRAME.down);
        this.#changed();
      },
      onEnd: () => {
        this.ended = true;
        this.#changed();
      },
    });
    this.sendKeys();
    return {
      stream: core,
      spawn: (program) => {
        this.spawned++;
        this.lastSpawned = program;
        this.#changed();
      },
      stop: () => {
        this.stopped = true;
        core.destroy();
        return Promise.resolve();
      },
    };
  };

  send(type: number, payload: Uint8Array = NOTHING): void {
    this.channel?.send(type, payload);
  }

  /** It reads nothing any more; `goOn` ends that. */
  stall(): { readonly goOn: () => void } {
    this.#stream?.pause();
    return { goOn: () => this.#stream?.resume() };
  }

  sendKeys(): void {
    this.send(DESK_FRAME.keys, messages.encodeDeskKeys(publicKeysOf(this.keys)));
  }

  append(draft: Partial<DeskAppend> & { readonly plaintext: Uint8Array }): void {
    const message = { id: 1, kind: KIND.audit, causes: [], ...draft } as const;
    this.send(DESK_FRAME.append, messages.encodeDeskAppend(message));
  }

  of(type: number): readonly Uint8Array[] {
    return this.frames.filter((frame) => frame.type === type).map(({ payload }) => payload);
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  #changed(): void {
    for (const wake of this.#watchers.splice(0)) wake();
  }
}
