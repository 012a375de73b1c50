// What commands for a running host, or for its folders, have in common: help, options, the operator's file, and
// failures of the disk as a person reads them.

import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import type { HostConfig } from '../config-file.ts';
import { explain, failureOf, readConfig } from '../explain.ts';
import type { HostIo } from '../explain.ts';

export interface HostCommand<Options extends { readonly config: string }> {
  readonly usage: string;
  /** Null for wrong usage. */
  readonly readOptions: (args: readonly string[]) => Options | null;
  /** Answers the exit code. */
  readonly perform: (options: Options, config: HostConfig, io: HostIo) => Promise<number>;
}

/** The exit code; 2 when nothing could be done. Rejects for bugs only. */
export async function runHostCommand<Options extends { readonly config: string }>(
  args: readonly string[],
  io: HostIo,
  { usage, readOptions, perform }: HostCommand<Options>,
): Promise<number> {
  if (args.includes('--help')) {
    io.stdout(usage);
    return 0;
  }
  const options = readOptions(args);
  if (options === null) {
    io.stderr(usage);
    return 2;
  }
  const config = readConfig(options.config, io);
  if (config === null) return 2;
  try {
    return await perform(options, config, io);
  } catch (error) {
    const failure = failureOf(error);
    if (failure === null) throw error;
    explain(io, failure);
    return 2;
  }
}

/** Null for unknown options and missing values. */
export function parseHostArgs<T extends ParseArgsConfig>(
  config: T,
): ReturnType<typeof parseArgs<T>> | null {
  try {
    return parseArgs(config);
  } catch {
    return null;
  }
}
