// Connector processes, each with one end of a Unix socket, as the core starts them, and what they have used.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { localPrograms } from '../../simulator/programs.ts';
import { spawnProgram } from '../../wire/node/child-program.ts';
import { residentBytes, threadTimes } from '../process-usage.ts';

export class ConnectorProcesses {
  readonly #children = new Map<ChildProcess, Socket>();
  readonly #path: string;
  readonly #program = localPrograms('').connector;
  readonly #arrivals: ((socket: Socket) => void)[] = [];
  readonly #server = createServer((socket) => {
    socket.on('error', () => undefined);
    this.#arrivals.shift()?.(socket);
  });
  /** Of each there was, as last seen. */
  readonly #usedMs = new Map<number, number>();

  /** The socket is in this folder. */
  constructor(folder: string) {
    this.#path = join(folder, 'c');
  }

  async listen(): Promise<void> {
    this.#server.listen(this.#path);
    await once(this.#server, 'listening');
  }

  async spawn(): Promise<Socket> {
    const arrived = new Promise<Socket>((resolve) => {
      this.#arrivals.push(resolve);
    });
    const theirs = createConnection({ path: this.#path });
    theirs.pause();
    await once(theirs, 'connect');
    const child = spawnProgram(this.#program, 2008, [], theirs);
    this.#children.set(child, theirs);
    theirs.destroy();
    child.once('exit', () => this.#children.delete(child));
    return arrived;
  }

  residentBytes(): number {
    let sum = 0;
    for (const { pid } of this.#children.keys()) sum += pid === undefined ? 0 : residentBytes(pid);
    return sum;
  }

  cpuMs(): number {
    for (const { pid } of this.#children.keys()) {
      if (pid === undefined) continue;
      const { mainMs, othersMs } = threadTimes(pid);
      this.#usedMs.set(pid, mainMs + othersMs);
    }
    return [...this.#usedMs.values()].reduce((sum, used) => sum + used, 0);
  }

  stop(): void {
    for (const child of this.#children.keys()) child.kill('SIGKILL');
    this.#server.close();
  }
}
