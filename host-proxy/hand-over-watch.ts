// Takes up `trackseal host hand-over`: looks for its request in the state folder and hands it to the running
// epoch. A request that nobody can read is put aside, never tried again.

import type { HandOver } from '../wire/kms-messages.ts';
import { removeDurably, writeDurably } from './durable-file.ts';
import type { EpochSummary } from './epoch-services.ts';
import type { Files } from './files.ts';
import { makeDirectories } from './files.ts';
import type { Logger } from './logger.ts';
import { LookOften } from './look-often.ts';
import { HAND_OVER_DONE, HAND_OVER_REQUEST, readHandOver } from './requests.ts';

export interface HandOverWatchOptions {
  readonly files: Files;
  readonly directory: string;
  readonly logger: Logger;
  /** False: no epoch can do it now; it is asked again. */
  readonly handOver: (handOver: HandOver) => boolean;
  readonly onFailure: (error: unknown) => void;
}

export class HandOverWatch {
  readonly #options: HandOverWatchOptions;
  readonly #often: LookOften;
  #taken = false;

  constructor(options: HandOverWatchOptions) {
    this.#options = options;
    this.#often = new LookOften(() => this.look(), options.onFailure);
  }

  /** At the start of a host: what a former one was asked is about another image than the one that runs now. */
  async forget(): Promise<void> {
    const { files, directory, logger } = this.#options;
    if (files.size(`${directory}/${HAND_OVER_REQUEST}`) === null) return;
    logger.warn('hand_over_dropped', { next: 'ask again where it is still wanted' });
    await removeDurably(files, directory, HAND_OVER_REQUEST);
  }

  start(): void {
    this.#often.start();
  }

  /** Nothing is written afterwards. */
  stop(): Promise<void> {
    return this.#often.stop();
  }

  async look(): Promise<void> {
    if (this.#taken) return;
    const { files, directory, logger, handOver } = this.#options;
    const request = readHandOver(files, directory);
    if (!request.ok) {
      logger.error('hand_over_refused', { code: request.refusal.code });
      await removeDurably(files, directory, HAND_OVER_REQUEST);
    } else if (request.value !== null && handOver(request.value)) {
      this.#taken = true;
      logger.info('hand_over', { note: request.value.note });
    }
  }

  /** The epoch that handed over is settled: for the command that asked, and for people. */
  async finish({ epoch, origin, size, root, closed }: EpochSummary): Promise<void> {
    const { files, directory } = this.#options;
    await makeDirectories(files, directory);
    const done = `${JSON.stringify({ epoch, origin, size, root, closed })}\n`;
    await writeDurably(files, directory, HAND_OVER_DONE, new TextEncoder().encode(done), 0o644);
    if (files.size(`${directory}/${HAND_OVER_REQUEST}`) !== null) {
      await removeDurably(files, directory, HAND_OVER_REQUEST);
    }
  }
}
