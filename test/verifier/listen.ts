// A CommandIo that keeps what a command prints.

import type { CommandIo } from '../../verifier/io.ts';

export interface Listener extends CommandIo {
  out: string;
  err: string;
}

export function listen(env: CommandIo['env'] = {}): Listener {
  const listener: Listener = {
    out: '',
    err: '',
    stdout: (text) => {
      listener.out += text;
    },
    stderr: (text) => {
      listener.err += text;
    },
    isTerminal: false,
    env,
  };
  return listener;
}
