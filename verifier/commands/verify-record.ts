// trackseal verify record FILE: the track record of an account, statement by statement, against attestation documents of
// the epochs that signed it. Every figure is computed again. Several files are several accounts of one owner, and are taken
// together as well. Offline unless the log has an address.

import { runCommand, undecided } from '../command-line.ts';
import type { CommandIo } from '../io.ts';
import { exitCodeOf } from '../log/verdict-frame.ts';
import { STORE_USAGE } from '../log/store-options.ts';
import { POLICY_OPTIONS, POLICY_USAGE } from '../policy-options.ts';
import type { TogetherTask } from '../together/together-task.ts';
import { judgeTogether, readTogetherTask, TOGETHER_USAGE } from '../together/together-task.ts';
import { renderTogether } from '../together/together-verdict.ts';
import { judgeRecord, RECORD_OPTIONS, RECORD_USAGE } from '../track/record-task.ts';
import { renderRecord } from '../track/record-verdict.ts';

const USAGE = `usage: trackseal verify record FILE [FILE...] [OPTIONS]

Verifies the track record of an account: signatures, chain, and every figure from the hours it rests on.
${TOGETHER_USAGE}${RECORD_USAGE}${POLICY_USAGE}${STORE_USAGE}
  --json                 the verdict as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not decide (no policy, unreadable file, wrong usage).
`;

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, {
    usage: USAGE,
    options: { ...POLICY_OPTIONS, ...RECORD_OPTIONS },
    prepare: (values, positionals, { env }) => readTogetherTask(positionals, values, env),
    perform,
  });
}

async function perform(task: TogetherTask, io: CommandIo, json: boolean): Promise<number> {
  const [first, ...others] = task.tasks;
  const judged = await (others.length === 0 ? judgeRecord(first, io) : judgeTogether(task, io));
  if (!judged.ok) return undecided(io, judged.refusal, json);
  const { verdict } = judged.value;
  const shown = 'together' in verdict ? renderTogether(verdict) : renderRecord(verdict);
  io.stdout(json ? `${JSON.stringify(verdict, null, 2)}\n` : shown);
  return exitCodeOf(verdict);
}
