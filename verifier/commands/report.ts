// trackseal report FILE: the track record of an account, or of several together, as one HTML file, from signed statements.
// It writes nothing that does not verify; where no policy was given the report says so at its top. Offline unless the log has an address.

import { writeFile } from 'node:fs/promises';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { runCommand, undecided } from '../command-line.ts';
import type { CommandIo } from '../io.ts';
import type { Judgement } from '../log/verdict-frame.ts';
import { exitCodeOf } from '../log/verdict-frame.ts';
import { STORE_USAGE } from '../log/store-options.ts';
import { POLICY_OPTIONS, POLICY_USAGE } from '../policy-options.ts';
import { renderReport } from '../report/document.ts';
import { renderTogetherReport } from '../report/together.ts';
import type { TogetherTask } from '../together/together-task.ts';
import { judgeTogether, readTogetherTask, TOGETHER_USAGE } from '../together/together-task.ts';
import { renderTogether } from '../together/together-verdict.ts';
import type { RecordValues } from '../track/record-task.ts';
import { judgeRecord, RECORD_OPTIONS, RECORD_USAGE } from '../track/record-task.ts';
import { renderRecord } from '../track/record-verdict.ts';

const USAGE = `usage: trackseal report FILE [FILE...] [--account HEX] [-o REPORT.html] [OPTIONS]

Writes the track record of an account as one HTML file: value, drawdown, months, risk, coverage, residual,
conventions, attestation and places in the log. Each figure is computed from the signed hours, and figures
that the enclave signed are compared; a record that does not verify gives no report.
${TOGETHER_USAGE}${RECORD_USAGE}  -o, --output FILE      where to write the HTML; stdout without it
${POLICY_USAGE}${STORE_USAGE}
  --json                 the verdict and all figures as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not decide (no policy, unreadable file, wrong usage).
`;

interface Task extends TogetherTask {
  readonly output: string | null;
}

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, {
    usage: USAGE,
    options: {
      ...POLICY_OPTIONS,
      ...RECORD_OPTIONS,
      output: { type: 'string', short: 'o' },
    },
    prepare: (values, positionals, { env }) => prepare(values, positionals, env),
    perform,
  });
}

async function prepare(
  values: RecordValues & { readonly output?: string | undefined },
  positionals: readonly string[],
  env: CommandIo['env'],
): Promise<Result<Task>> {
  const task = await readTogetherTask(positionals, values, env);
  return task.ok ? accept({ ...task.value, output: values.output ?? null }) : task;
}

interface Made {
  readonly verdict: Judgement;
  /** For people, where there is no page. */
  readonly shown: string;
  /** Null where a record was refused. */
  readonly page: string | null;
}

async function make({ tasks }: Task, io: CommandIo): Promise<Result<Made>> {
  const [first, ...others] = tasks;
  if (others.length === 0) {
    const judged = await judgeRecord(first, io);
    if (!judged.ok) return judged;
    const { verdict, found } = judged.value;
    const page = found === null ? null : renderReport(found);
    return accept({ verdict, shown: renderRecord(verdict), page });
  }
  const judged = await judgeTogether({ tasks }, io);
  if (!judged.ok) return judged;
  const { verdict, found } = judged.value;
  const page = found === null ? null : renderTogetherReport(found);
  return accept({ verdict, shown: renderTogether(verdict), page });
}

async function perform(task: Task, io: CommandIo, json: boolean): Promise<number> {
  const made = await make(task, io);
  if (!made.ok) return undecided(io, made.refusal, json);
  const { verdict, shown, page } = made.value;
  const { output } = task;
  if (json) io.stdout(`${JSON.stringify(verdict, null, 2)}\n`);
  if (page === null) {
    if (!json) io.stderr(shown);
    return exitCodeOf(verdict);
  }
  if (output === null) {
    if (!json) io.stdout(page);
    return exitCodeOf(verdict);
  }
  const written = await write(output, page);
  if (!written.ok) return undecided(io, written.refusal, false);
  if (!json) io.stdout(`${verdict.verdict.toUpperCase()}  ${output}\n`);
  return exitCodeOf(verdict);
}

async function write(path: string, page: string): Promise<Result<null>> {
  try {
    await writeFile(path, page);
    return accept(null);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    return refuse('file_unreadable', { path, system: code });
  }
}
