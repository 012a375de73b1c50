// Starts the processes that talk to the outside: desk, connectors, ledger, market-data tap. A connector or the ledger gets a
// stream to the desk as its standard input and output, made by the core because the desk can start nothing; the core reads
// none of it. Both parse what others say and may be hostile: their number and memory, and a connector's life, are bounded here.

import type { ChildProcess } from 'node:child_process';
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import type { ByteStream } from '../wire/channel.ts';
import type { ChildProgram } from '../wire/node/child-program.ts';
import { spawnProgram } from '../wire/node/child-program.ts';
import { joinPipes } from '../wire/node/pipes.ts';
import type { RunningDesk, StartDesk } from './desk-link.ts';
import { residentBytes } from './strategy/memory.ts';
import type { StartTap } from './tap-link.ts';

/** Users of the image; enclave/launch/launch.c takes no others. */
export const DESK_USER = 2100;
export const TAP_USER = 2101;
export const LEDGER_USER = 2102;
const FIRST_CONNECTOR_USER = 2008;
export const MAX_CONNECTORS = 8;
/** The desk recycles them long before. */
const CONNECTOR_LIFE_MS: number = 20 * 60_000;
const MAX_CONNECTOR_BYTES: number = 768 * 1024 * 1024;
const MAX_LEDGER_BYTES: number = 2 * 1024 * 1024 * 1024;
const WATCH_MS = 1000;

export interface DeskPrograms {
  readonly desk: ChildProgram;
  readonly connector: ChildProgram;
  readonly ledger: ChildProgram;
  /** Where the desk listens for connectors, and with `-ledger` for that: a path, or `@` and a name in no file system. */
  readonly socket: string;
  /** What both learn beside that: the address of the transport. */
  readonly address: string;
}

/** The two pipes of a process as one stream. */
export function streamOf({ stdin, stdout }: ChildProcess): ByteStream {
  if (stdin === null || stdout === null) throw new Error('a child without pipes');
  return joinPipes(stdout, stdin);
}

export function goneOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
}

/** `@name` is a name of the kernel's own (unix(7)), which needs no folder that anybody may write. */
export function socketPath(socket: string): string {
  return socket.startsWith('@') ? `\0${socket.slice(1)}` : socket;
}

/** Beside that of connectors: who arrives there is the ledger. */
export function ledgerSocket(socket: string): string {
  return `${socket}-ledger`;
}

interface ChildTerms {
  readonly program: ChildProgram;
  /** Where the desk listens for it. */
  readonly socket: string;
  /** As many at a time. */
  readonly users: readonly number[];
  readonly maxBytes: number;
  readonly lifeMs: number;
}

class Children {
  readonly #terms: ChildTerms;
  /** Users that are free. */
  readonly #users: number[];
  readonly #children = new Map<ChildProcess, Promise<void>>();
  #waiting = 0;
  #stopped = false;

  constructor(terms: ChildTerms) {
    this.#terms = terms;
    this.#users = [...terms.users];
  }

  spawn(): void {
    if (this.#stopped) return;
    const user = this.#users.shift();
    if (user === undefined) {
      // The one before may still be on its way out; more than that nobody waits for.
      this.#waiting = Math.min(this.#waiting + 1, this.#terms.users.length);
      return;
    }
    const socket = createConnection({ path: socketPath(this.#terms.socket) });
    // What the desk sends is the child's to read.
    socket.pause();
    socket.once('error', () => {
      this.#users.push(user);
    });
    socket.once('connect', () => {
      if (!this.#stopped) this.#start(user, socket);
      socket.destroy();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const child of this.#children.keys()) child.kill('SIGKILL');
    await Promise.all(this.#children.values());
  }

  #start(user: number, socket: Socket): void {
    const { program, lifeMs, maxBytes } = this.#terms;
    const child = spawnProgram(program, user, [], socket);
    const bornMs = performance.now();
    const watch = setInterval(() => {
      const isOld = performance.now() - bornMs > lifeMs;
      if (isOld || residentBytes(child.pid ?? 0) > maxBytes) child.kill('SIGKILL');
    }, WATCH_MS);
    watch.unref();
    const gone = goneOf(child).then(() => {
      clearInterval(watch);
      this.#children.delete(child);
      this.#users.push(user);
      if (this.#waiting === 0) return;
      this.#waiting--;
      this.spawn();
    });
    this.#children.set(child, gone);
  }
}

export function deskStarter(programs: DeskPrograms): StartDesk {
  return (): RunningDesk => {
    const { desk, connector, ledger, address, socket } = programs;
    const child = spawnProgram(desk, DESK_USER, [address, socket]);
    const gone = goneOf(child);
    const connectors = new Children({
      program: connector,
      socket,
      users: Array.from({ length: MAX_CONNECTORS }, (_, at) => FIRST_CONNECTOR_USER + at),
      maxBytes: MAX_CONNECTOR_BYTES,
      lifeMs: CONNECTOR_LIFE_MS,
    });
    const ledgers = new Children({
      program: ledger,
      socket: ledgerSocket(socket),
      users: [LEDGER_USER],
      maxBytes: MAX_LEDGER_BYTES,
      lifeMs: Number.POSITIVE_INFINITY,
    });
    return {
      stream: streamOf(child),
      spawn: (name) => {
        if (name === 'ledger') ledgers.spawn();
        else connectors.spawn();
      },
      stop: async () => {
        child.kill('SIGKILL');
        await Promise.all([gone, connectors.stop(), ledgers.stop()]);
      },
    };
  };
}

/** `tap PARENT ADDRESS`: over the enclave's own TLS, for streams that have a source. */
export function tapStarter(program: ChildProgram, address: string): StartTap {
  return () => {
    const child = spawnProgram(program, TAP_USER, [address]);
    const gone = goneOf(child);
    return {
      stream: streamOf(child),
      stop: async () => {
        child.kill('SIGKILL');
        await gone;
      },
    };
  };
}
