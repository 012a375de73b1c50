// Starts an enclave by a command, tells how it ended, and how long to wait before the next one. For the
// local appliance the command is the simulator; on a Nitro host it runs the image. What the process
// prints is not read: codes come by the diagnostics stream.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

export interface EnclaveCommand {
  /** Program and arguments; no shell. */
  readonly command: readonly [string, ...string[]];
  /** Whether what it prints to stderr is shown. */
  readonly showOutput: boolean;
}

export interface EnclaveExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** The system's error code when it could not be started. */
  readonly error: string | null;
}

export class EnclaveProcess {
  readonly exited: Promise<EnclaveExit>;
  readonly #child: ChildProcess;
  #running = true;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.exited = new Promise((resolve) => {
      const end = (exit: EnclaveExit): void => {
        this.#running = false;
        resolve(exit);
      };
      child.once('exit', (code, signal) => {
        end({ code, signal, error: null });
      });
      child.once('error', (error) => {
        const code = 'code' in error && typeof error.code === 'string' ? error.code : 'UNKNOWN';
        end({ code: null, signal: null, error: code });
      });
    });
  }

  static start({ command, showOutput }: EnclaveCommand): EnclaveProcess {
    const [program, ...args] = command;
    const stdio = ['ignore', 'ignore', showOutput ? 'inherit' : 'ignore'] as const;
    return new EnclaveProcess(spawn(program, args, { stdio: [...stdio] }));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Waits `graceMs` for an end by itself, then terminates it. */
  async end(graceMs: number): Promise<EnclaveExit> {
    const grace = Promise.withResolvers<null>();
    const timer = setTimeout(() => {
      grace.resolve(null);
    }, graceMs);
    await Promise.race([this.exited, grace.promise]);
    clearTimeout(timer);
    return this.terminate(graceMs);
  }

  /** SIGTERM, and SIGKILL when it is still there after `graceMs`. Resolves with its end. */
  async terminate(graceMs: number): Promise<EnclaveExit> {
    if (this.#running) this.#child.kill('SIGTERM');
    const timer = setTimeout(() => {
      if (this.#running) this.#child.kill('SIGKILL');
    }, graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }
}

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maximumMs: number;
  /** An epoch that lasted this long counts as a success: waiting starts again from `firstMs`. */
  readonly resetAfterMs: number;
}

/** Doubles from one failure to the next, up to the maximum. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** After an epoch that was ready for `readyMs` (0: never). Answers how long to wait, in ms. */
  next(readyMs: number): number {
    const { firstMs, maximumMs, resetAfterMs } = this.#options;
    if (readyMs >= resetAfterMs) this.#failures = 0;
    const waitMs = Math.min(maximumMs, firstMs * 2 ** this.#failures);
    this.#failures++;
    return waitMs;
  }
}
