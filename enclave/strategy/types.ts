// What the enclave core uses of a strategy process, and nothing else. The process behind it is hostile:
// whatever it does, the core sees checked signals or one closed code. Errors of its own do not cross.

import type { RefusalCode } from '../../wire/codes.ts';
import type { Instrument } from '../../wire/configuration.ts';
import type { RunnerProgram } from '../../wire/node/strategy-program.ts';
import type { Signal } from '../../wire/enclave-payloads.ts';
import type { Result } from '../../wire/result.ts';

export type { RunnerProgram };

export interface StrategyLimits {
  /** From spawn to STARTED; also how long reports may lie before the process unread. */
  readonly startMs: number;
  /** Longest time for one batch: `time_budget_ms` of the configuration. */
  readonly batchMs: number;
  /** INPUT frames that may wait for their OUTPUTS before `input` answers false. */
  readonly windowInputs: number;
  /** The same in bytes of frames, INPUT and FILL together. */
  readonly windowBytes: number;
}

export interface StrategySpecification {
  readonly name: string;
  /** 1000 + k. */
  readonly stream: number;
  /** As packed: JavaScript text in UTF-8, or a WebAssembly module. */
  readonly bundle: Uint8Array;
  /** Commitment = SHA-256(salt ‖ bundle), 32 bytes each; checked before the process is spawned. */
  readonly salt: Uint8Array;
  readonly commitment: Uint8Array;
  /** JSON, UTF-8. Its commitment is the core's matter. */
  readonly parameters: Uint8Array;
  /** 32 bytes, logged before the first output. */
  readonly seed: Uint8Array;
  readonly instruments: readonly Instrument[];
}

export interface StrategyOutput {
  /** The plaintext of the output leaf: exactly what the process sent, checked. */
  readonly bytes: Uint8Array;
  readonly signal: Signal;
}

/** The answer to one INPUT; every INPUT has one, in order, often without outputs. */
export interface StrategyAnswer {
  readonly leafIndex: number;
  /** At most 64. Their causes, all the same, are the output leaf's causes. */
  readonly outputs: readonly StrategyOutput[];
}

export interface StrategyHandlers {
  readonly onAnswer: (answer: StrategyAnswer) => void;
  /** Once, for whatever reason but `stop`; nothing follows. The process is dead or being killed. */
  readonly onEnded: (code: RefusalCode) => void;
}

/**
 * The core calls `input` and `fill` in the order of the leaves. Both only queue; when one answers
 * false, the window is full and the core waits for `drained()` before it takes more from the host.
 */
export interface Strategy {
  readonly stream: number;
  /** Ids of the subscribed instruments, ascending. */
  readonly subscribed: readonly number[];
  input(leafIndex: number, batchTimeNs: bigint, batch: Uint8Array): boolean;
  /** `signalId` is the id of the signal that the report's output leaf holds. */
  fill(leafIndex: number, signalId: number, report: Uint8Array): boolean;
  /** Resolves when the window has room, and when the strategy has ended. */
  drained(): Promise<void>;
  /** Resolves when every INPUT so far is answered, and when the strategy has ended. For a clean close. */
  settled(): Promise<void>;
  /** Ends the process without `onEnded`. Resolves when it is gone. */
  stop(): Promise<void>;
}

/** enclave/strategy/process.ts exports `startStrategy` of this type. */
export type StartStrategy = (
  /** Given by main: in the image the bundled runner, elsewhere `findRunner(root)`. */
  program: RunnerProgram,
  specification: StrategySpecification,
  limits: StrategyLimits,
  handlers: StrategyHandlers,
  /** Ends a process that has not started yet; afterwards it is `stop` that ends it. */
  stopped: AbortSignal,
) => Promise<Result<Strategy>>;
