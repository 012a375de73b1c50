// trackseal verify record FILE: the track record of an account, statement by statement, against attestation documents of
// the epochs that signed it. Every figure is computed again. Offline unless the log has an address.

import type { Result } from '../../wire/result.ts';
import { refuse } from '../../wire/result.ts';
import { runCommand, undecided } from '../command-line.ts';
import type { CommandIo } from '../io.ts';
import { exitCodeOf } from '../log/verdict-frame.ts';
import { STORE_USAGE } from '../log/store-options.ts';
import { POLICY_OPTIONS, POLICY_USAGE } from '../policy-options.ts';
import type { RecordTask, RecordValues } from '../track/record-task.ts';
import { judgeRecord, readRecordTask, RECORD_OPTIONS, RECORD_USAGE } from '../track/record-task.ts';
import { renderRecord } from '../track/record-verdict.ts';

const USAGE = `usage: trackseal verify record FILE [OPTIONS]

Verifies the track record of an account: signatures, chain, and every figure from the hours it rests on.
${RECORD_USAGE}${POLICY_USAGE}${STORE_USAGE}
  --json                 the verdict as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not decide (no policy, unreadable file, wrong usage).
`;

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, {
    usage: USAGE,
    options: { ...POLICY_OPTIONS, ...RECORD_OPTIONS },
    prepare: (values, positionals, { env }) => prepare(values, positionals, env),
    perform,
  });
}

async function prepare(
  values: RecordValues,
  positionals: readonly string[],
  env: CommandIo['env'],
): Promise<Result<RecordTask>> {
  const [path] = positionals;
  if (path === undefined || positionals.length !== 1) {
    return refuse('usage_invalid', { what: 'give one FILE' });
  }
  return readRecordTask(path, values, env);
}

async function perform(task: RecordTask, io: CommandIo, json: boolean): Promise<number> {
  const judged = await judgeRecord(task, io);
  if (!judged.ok) return undecided(io, judged.refusal, json);
  const { verdict } = judged.value;
  io.stdout(json ? `${JSON.stringify(verdict, null, 2)}\n` : renderRecord(verdict));
  return exitCodeOf(verdict);
}
