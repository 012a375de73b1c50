// The engine's process, as the front sees it: protocol bytes in, protocol bytes out, one exchange at a time. One that
// takes too long, or whose process ends, is lost, with everything that was not committed; a new process is started
// and recovers from its write-ahead log.

import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../logger.ts';
import { Backoff } from '../supervisor.ts';
import type { EngineAnswer, EngineRequest } from './engine-messages.ts';

export interface EngineOptions {
  /** Of the engine and of nothing else. */
  readonly folder: string;
  readonly maxResultBytes: number;
  readonly logger: Logger;
  /** Every connection has lost what it had in the engine. */
  readonly onLost: () => void;
}

export class EngineLost extends Error {
  override readonly name = 'EngineLost';
}

/** Another process uses the folder, or the engine does not start. */
export class EngineUnavailable extends Error {
  override readonly name = 'EngineUnavailable';
}

const START_MS = 120_000;
const STOP_MS = 20_000;
const BACKOFF = { firstMs: 200, maximumMs: 3000, resetAfterMs: 60_000 };

interface Running {
  readonly child: ChildProcess;
  readonly version: string;
}

interface Exchange {
  readonly onData: (bytes: Uint8Array) => void;
  readonly resolve: (overflow: boolean) => void;
  readonly reject: (error: EngineLost) => void;
}

export class Engine {
  readonly #options: EngineOptions;
  readonly #backoff = new Backoff(BACKOFF);
  #running: Promise<Running>;
  #child: ChildProcess | null = null;
  #exchange: Exchange | null = null;
  #hasStarted = false;
  #isStopping = false;

  private constructor(options: EngineOptions) {
    this.#options = options;
    this.#running = this.#start();
  }

  /** Throws EngineUnavailable. */
  static async open(options: EngineOptions): Promise<Engine> {
    const engine = new Engine(options);
    await engine.#running;
    return engine;
  }

  /** Of PostgreSQL, once it runs. Throws EngineUnavailable. */
  async version(): Promise<string> {
    return (await this.#running).version;
  }

  /** Whether there was more than is handed out. Throws EngineLost. The caller waits for one before the next. */
  async exchange(
    bytes: Uint8Array,
    timeoutMs: number,
    onData: (bytes: Uint8Array) => void,
  ): Promise<boolean> {
    const { child } = await this.#running.catch(() => {
      throw new EngineLost('the engine does not run');
    });
    if (this.#exchange !== null) throw new Error('two exchanges at once');
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    this.#exchange = { onData, resolve, reject };
    const timer = setTimeout(() => {
      this.#options.logger.warn('database_statement_killed', { after_ms: timeoutMs });
      child.kill('SIGKILL');
    }, timeoutMs);
    send(child, { type: 'exchange', bytes });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Writes out what is in memory. An exchange that runs is lost. */
  async close(): Promise<void> {
    this.#isStopping = true;
    await this.#running.catch(() => undefined);
    const child = this.#child;
    if (child?.connected !== true) return;
    const ended = new Promise((resolve) => {
      child.once('close', resolve);
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    send(child, { type: 'stop' });
    await ended;
    clearTimeout(timer);
  }

  async #start(): Promise<Running> {
    const { folder, maxResultBytes } = this.#options;
    const child = fork(engineProgram(), [folder, String(maxResultBytes)], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    });
    this.#child = child;
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2048);
    });
    const { promise, resolve, reject } = Promise.withResolvers<Running>();
    const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
    const startedMs = performance.now();
    child.on('message', (message) => {
      this.#take(message as EngineAnswer, (version) => {
        clearTimeout(timer);
        this.#hasStarted = true;
        resolve({ child, version });
      });
      if ((message as EngineAnswer).type === 'in_use') {
        reject(new EngineUnavailable(`another process uses ${folder}`));
      }
    });
    child.once('error', (error) => {
      reject(new EngineUnavailable(error.message));
    });
    child.once('close', () => {
      clearTimeout(timer);
      reject(new EngineUnavailable(`the engine does not start\n${said}`));
      this.#lose(performance.now() - startedMs);
    });
    promise.catch(() => undefined);
    return promise;
  }

  #take(message: EngineAnswer, ready: (version: string) => void): void {
    if (message.type === 'ready') ready(message.version);
    else if (message.type === 'data') this.#exchange?.onData(message.bytes);
    else if (message.type === 'done') {
      const exchange = this.#exchange;
      this.#exchange = null;
      exchange?.resolve(message.overflow);
    }
  }

  #lose(ranMs: number): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    exchange?.reject(new EngineLost('the engine has ended'));
    if (this.#isStopping || !this.#hasStarted) return;
    const waitMs = this.#backoff.next(ranMs);
    this.#options.logger.warn('database_engine_lost', { restart_ms: waitMs });
    this.#running = new Promise((resolve) => {
      setTimeout(resolve, waitMs);
    }).then(() => this.#start());
    this.#running.catch(() => undefined);
    this.#options.onLost();
  }
}

/** Beside this file in a checkout, beside the bundle in an installed package. */
function engineProgram(): string {
  const name = import.meta.filename.endsWith('.ts') ? 'engine-process.ts' : 'database-engine.mjs';
  return fileURLToPath(new URL(name, import.meta.url));
}

function send(child: ChildProcess, request: EngineRequest): void {
  // A process that is gone answers with `close`.
  if (child.connected) child.send(request, () => undefined);
}
