// What all verifying commands share at the edge: options, and the answer when nothing could be judged.

import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { REFUSAL_CODES } from '../wire/codes.ts';
import type { Refusal, Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { renderDetail } from './attestation-text.ts';
import { hintOf } from './hints.ts';
import type { CommandIo } from './io.ts';

/** Unknown options and missing values are refused. */
export function parseOptions<T extends ParseArgsConfig>(
  config: T,
): Result<ReturnType<typeof parseArgs<T>>> {
  try {
    return accept(parseArgs(config));
  } catch (error) {
    return refuse('usage_invalid', { what: error instanceof Error ? error.message : 'options' });
  }
}

interface CommonOptions {
  readonly json: { readonly type: 'boolean' };
  readonly help: { readonly type: 'boolean' };
}

const COMMON_OPTIONS: CommonOptions = { json: { type: 'boolean' }, help: { type: 'boolean' } };

type Options = NonNullable<ParseArgsConfig['options']>;

/** What `parseArgs` makes of them. */
export type ValuesOf<T extends Options> = ReturnType<
  typeof parseArgs<{ readonly options: T; readonly allowPositionals: true }>
>['values'];

export interface Command<T extends Options, Task> {
  readonly usage: string;
  /** Beside `--json` and `--help`, which every command has. */
  readonly options: T;
  /** Checks what was given and reads files; what it refuses is `undecided`. */
  readonly prepare: (
    values: ValuesOf<T>,
    positionals: readonly string[],
    io: CommandIo,
  ) => Promise<Result<Task>>;
  /** Answers the exit code. */
  readonly perform: (task: Task, io: CommandIo, json: boolean) => Promise<number>;
}

/** Answers the exit code. Rejects for bugs only. */
export async function runCommand<T extends Options, Task>(
  args: readonly string[],
  io: CommandIo,
  { usage, options, prepare, perform }: Command<T, Task>,
): Promise<number> {
  const json = args.includes('--json');
  const parsed = parseOptions({
    args: [...args],
    allowPositionals: true,
    options: { ...options, ...COMMON_OPTIONS },
  });
  if (!parsed.ok) return undecided(io, parsed.refusal, json);
  const { positionals } = parsed.value;
  const values: ValuesOf<T> & { readonly help?: boolean } = parsed.value.values;
  if (values.help === true) {
    io.stdout(usage);
    return 0;
  }
  const task = await prepare(values, positionals, io);
  return task.ok ? perform(task.value, io, json) : undecided(io, task.refusal, json);
}

/** Codes that mean "I could not look" rather than "it does not hold". */
const UNDECIDED: ReadonlySet<string> = new Set([
  'usage_invalid',
  'source_unreachable',
  'file_unreadable',
  'disclosure_key_wrong',
  'input_unavailable',
  'toolchain_unusable',
  'build_failed',
]);

/** Says why nothing was judged, on stderr (and on stdout with --json), and answers exit code 2. */
export function undecided(io: CommandIo, refusal: Refusal, json: boolean): number {
  explain(io, 'undecided', refusal, json);
  return 2;
}

/** The same, but exit code 1 when the evidence was looked at and does not hold. */
export function refused(io: CommandIo, refusal: Refusal, json: boolean): number {
  if (UNDECIDED.has(refusal.code)) return undecided(io, refusal, json);
  explain(io, 'refused', refusal, json);
  return 1;
}

function explain(
  io: CommandIo,
  verdict: 'undecided' | 'refused',
  { code, detail }: Refusal,
  json: boolean,
): void {
  if (json) io.stdout(`${JSON.stringify({ verdict, code, detail }, null, 2)}\n`);
  const lines = [
    `${verdict.toUpperCase()}  ${code}: ${REFUSAL_CODES[code]}`,
    ...renderDetail(detail),
    `  next          ${hintOf(code)}`,
  ];
  io.stderr(`${lines.join('\n')}\n`);
}
