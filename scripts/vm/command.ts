// Runs a program to its end. Its output is kept, and shown when it fails: what a build printed last is mostly
// what is wrong with it.

import { spawn } from 'node:child_process';

const KEPT_BYTES = 1 << 20;
const SHOWN_LINES = 25;

export class CommandFailed extends Error {}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** What it printed to stdout (the last MiB). Throws CommandFailed with the end of its output. */
export async function runCommand(
  [program, ...args]: readonly [string, ...string[]],
  options: CommandOptions = {},
): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  let output = '';
  let all = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-KEPT_BYTES);
    all = (all + text).slice(-KEPT_BYTES);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    all = (all + text).slice(-KEPT_BYTES);
  });
  const status = await new Promise<string>((resolve) => {
    child.once('error', (error) => {
      resolve(error.message);
    });
    child.once('close', (code, signal) => {
      resolve(code === 0 ? '' : (signal ?? `exit code ${String(code)}`));
    });
  });
  if (status === '') return output;
  const last = all.trimEnd().split('\n').slice(-SHOWN_LINES).join('\n');
  throw new CommandFailed(`${[program, ...args].join(' ')}: ${status}\n${last}`);
}

/** For downloads, which fail now and then; not again after a failure that is final. */
export async function retry<T>(
  attempt: () => Promise<T>,
  isFinal: (failure: CommandFailed) => boolean = () => false,
): Promise<T> {
  for (const pauseMs of [2000, 8000]) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof CommandFailed) || isFinal(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
  return attempt();
}
