// The desk as a process: standard input and output lead to the core, and it ends with them. What escapes every handler
// is a bug and ends it with a closed code; nothing is written anywhere.

import process from 'node:process';
import { joinPipes } from '../../wire/node/pipes.ts';
import type { Transport } from '../../wire/node/transport.ts';
import { startDesk } from './desk.ts';

/** `socket` as in DeskOptions. Does not return control. */
export function runDesk(transport: Transport, socket: string): void {
  const desk = startDesk({
    stream: joinPipes(process.stdin, process.stdout),
    transport,
    socket,
    onExit: (code) => {
      process.exit(code === null ? 0 : 1);
    },
  });
  const fail = (): void => {
    desk.fail('internal');
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  // By default it opens Node's inspector, to whoever can send a signal.
  process.on('SIGUSR1', () => undefined);
}
