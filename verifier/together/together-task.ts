// `verify record` and `report` with several files: each is judged by itself, and what does not verify refuses all. Accounts of a test
// system do not go with others, and nobody is counted twice.

import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { CommandIo } from '../io.ts';
import type { RecordTask, RecordValues } from '../track/record-task.ts';
import { judgeRecord, readRecordTask } from '../track/record-task.ts';
import type { RecordVerdict } from '../track/record-verdict.ts';
import type { JudgedTogether, Member, TogetherVerdict } from './together-verdict.ts';
import { refusedTogether, verifiedTogether } from './together-verdict.ts';

const MAX_FILES = 64;

export const TOGETHER_USAGE = `Several FILEs are accounts of one owner: each is verified by itself, and then all are taken together. Transfers
between them are found by references that the enclave signed, and are no flows.
`;

export interface TogetherTask {
  readonly tasks: readonly [RecordTask, ...RecordTask[]];
}

export async function readTogetherTask(
  paths: readonly string[],
  values: RecordValues,
  env: CommandIo['env'],
): Promise<Result<TogetherTask>> {
  if (paths.length > MAX_FILES) {
    return refuse('usage_invalid', { what: `at most ${MAX_FILES} FILEs` });
  }
  if (values.account !== undefined && paths.length > 1) {
    return refuse('usage_invalid', { what: '--account goes with one FILE' });
  }
  const tasks: RecordTask[] = [];
  for (const path of paths) {
    const task = await readRecordTask(path, values, env);
    if (!task.ok) return task;
    tasks.push(task.value);
  }
  const [first, ...rest] = tasks;
  if (first === undefined) return refuse('usage_invalid', { what: 'give a FILE' });
  return accept({ tasks: [first, ...rest] });
}

export interface TogetherJudgement {
  readonly verdict: TogetherVerdict;
  /** Null where a record was refused. */
  readonly found: JudgedTogether | null;
}

/** Refuses where nothing could be judged, and what cannot be taken together. */
export async function judgeTogether(
  { tasks }: TogetherTask,
  io: CommandIo,
): Promise<Result<TogetherJudgement>> {
  const members: Member[] = [];
  const verdicts: RecordVerdict[] = [];
  for (const task of tasks) {
    const judged = await judgeRecord(task, io);
    if (!judged.ok) return judged;
    const { verdict, found } = judged.value;
    verdicts.push(verdict);
    if (found !== null) members.push(found);
  }
  const [{ trust }] = tasks;
  const source = tasks.map(({ path }) => path).join(', ');
  if (members.length < tasks.length) {
    return accept({ verdict: refusedTogether(source, trust, verdicts), found: null });
  }
  const environments = new Set(members.map(({ record }) => record.account.environment));
  if (environments.size > 1) {
    return refuse('usage_invalid', { what: 'accounts of a test system beside others' });
  }
  const accounts = new Set(verdicts.map(({ record }) => record?.account));
  if (accounts.size < members.length) {
    return refuse('usage_invalid', { what: 'one account in two FILEs' });
  }
  const found = verifiedTogether(source, trust, members);
  return accept({ verdict: found.verdict, found });
}
