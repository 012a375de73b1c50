// An end of the enclave that is not a bug: it cannot log, its clock cannot be trusted, the host broke
// the log protocol. Thrown where it is found, turned into one closed code where work enters the
// enclave: frames, timers, answers of strategies. Whatever else is thrown there is a bug, code `internal`.

import type { RefusalCode } from '../wire/codes.ts';
import type { Result } from '../wire/result.ts';

export class Fatal extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode) {
    super(code);
    this.code = code;
  }
}

/** The code for whatever was thrown; the text of an exception never leaves the enclave. */
export function fatalCode(thrown: unknown): RefusalCode {
  return thrown instanceof Fatal ? thrown.code : 'internal';
}

/** Runs work that came from outside; what it throws ends the enclave. */
export interface Guard {
  run(work: () => void): void;
  runAsync(work: () => Promise<void>): Promise<void>;
}

export function createGuard(onFatal: (code: RefusalCode) => void): Guard {
  return {
    run: (work) => {
      try {
        work();
      } catch (error) {
        onFatal(fatalCode(error));
      }
    },
    runAsync: async (work) => {
      try {
        await work();
      } catch (error) {
        onFatal(fatalCode(error));
      }
    },
  };
}

/** For steps that the enclave cannot go on without. */
export function orFatal<T>(result: Result<T>): T {
  if (result.ok) return result.value;
  throw new Fatal(result.refusal.code);
}
