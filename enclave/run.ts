// An enclave as the whole of a process: signals ask for a clean close, whatever escapes all guards is a
// bug and ends it, and the exit code says how it ended. Standard error gets the closed code, nothing else.

import type { RefusalCode } from '../wire/codes.ts';
import { CLOSE_REASON } from '../wire/enclave-payloads.ts';
import type { EnclaveOptions } from './core.ts';
import { startEnclave } from './core.ts';

/** Exit code 1, with the code (docs/PROTOCOL.md 13). */
export function exitRefused(code: RefusalCode): never {
  process.stderr.write(`trackseal enclave: ${code}\n`);
  process.exit(1);
}

/** Does not return control: the process ends with 0 after a clean close and with 1 otherwise. */
export function runEnclave(options: Omit<EnclaveOptions, 'onExit'>): void {
  const enclave = startEnclave({
    ...options,
    onExit: ({ code }) => {
      if (code !== null) exitRefused(code);
      process.exit(0);
    },
  });
  const fail = (): void => {
    enclave.fail('internal');
  };
  const close = (): void => {
    enclave.close(CLOSE_REASON.signal);
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  process.on('SIGTERM', close);
  process.on('SIGINT', close);
  // By default it opens Node's inspector, to whoever can send a signal: a strategy, without its own user.
  process.on('SIGUSR1', () => undefined);
}
