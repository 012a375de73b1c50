// The tap as a process: standard input and output lead to the core, and it ends with them. What escapes every
// handler is a bug and ends it; nothing is written anywhere.

import process from 'node:process';
import { joinPipes } from '../../wire/node/pipes.ts';
import type { Transport } from '../../wire/node/transport.ts';
import { Tap } from './tap.ts';

/** Does not return control. */
export function runTap(transport: Transport): void {
  const tap = new Tap({
    stream: joinPipes(process.stdin, process.stdout),
    transport,
    onExit: (code) => {
      process.exit(code === null ? 0 : 1);
    },
  });
  const fail = (): void => {
    tap.end('internal');
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  // By default it opens Node's inspector, to whoever can send a signal.
  process.on('SIGUSR1', () => undefined);
}
