// Where connector processes arrive: the core starts one and hands it a stream to this socket. Only the core may
// connect here: what connects without being asked for is closed.

import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { Fatal } from '../fatal.ts';

const SPAWN_MS = 10_000;

interface Waiter {
  readonly resolve: (stream: Duplex) => void;
  readonly reject: (error: Fatal) => void;
}

export class Connectors {
  readonly #ask: () => void;
  readonly #waiting: Waiter[] = [];
  #server: Server | null = null;

  /** `ask`: the core should start one. */
  constructor(ask: () => void) {
    this.#ask = ask;
  }

  /** A path, or `@` and a name of the kernel's own. Rejects with the system's error. */
  async listen(socket: string): Promise<void> {
    const isAbstract = socket.startsWith('@');
    const path = isAbstract ? `\0${socket.slice(1)}` : socket;
    if (!isAbstract) await rm(path, { force: true });
    const server = createServer((stream) => {
      stream.on('error', () => undefined);
      const waiter = this.#waiting.shift();
      if (waiter === undefined) stream.destroy();
      else waiter.resolve(stream);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    this.#server = server;
  }

  /** One more process. Rejects with a Fatal `connector_unavailable`. */
  spawn(): Promise<Duplex> {
    if (this.#server === null) return Promise.reject(new Fatal('connector_unavailable'));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new Fatal('connector_unavailable'));
      }, SPAWN_MS);
      const waiter: Waiter = {
        resolve: (stream) => {
          clearTimeout(timer);
          resolve(stream);
        },
        reject,
      };
      this.#waiting.push(waiter);
      this.#ask();
    });
  }

  close(): void {
    this.#server?.close();
    for (const waiter of this.#waiting.splice(0)) waiter.reject(new Fatal('connector_unavailable'));
  }
}
