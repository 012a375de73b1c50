// Records in a folder and `trackseal verify record` over them, for tests of what it takes and what it refuses.

import { writeFile } from 'node:fs/promises';
import { run } from '../../../verifier/commands/verify-record.ts';
import type { RecordVerdict } from '../../../verifier/track/record-verdict.ts';
import { toHex } from '../../../wire/bytes.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { RECORD_ACCOUNT, RecordBuilder } from '../../helpers/track-record.ts';
import { money } from '../../wire/performance/golden.ts';
import { record } from '../../wire/performance/hours.ts';
import { LogFolder, runCommand } from '../log/log-folder.ts';

export interface Judged {
  readonly exit: number;
  readonly verdict: RecordVerdict;
  readonly err: string;
}

/** Asked for by its whole name: another one is left out, and missed. */
const ACCOUNT = toHex(RECORD_ACCOUNT.accountCommitment);

export class RecordFolder {
  readonly folder: LogFolder;

  private constructor(folder: LogFolder) {
    this.folder = folder;
  }

  static async create(): Promise<RecordFolder> {
    return new RecordFolder(await LogFolder.create());
  }

  remove(): Promise<void> {
    return this.folder.remove();
  }

  async judge(file: string, ...args: readonly string[]): Promise<Judged> {
    const path = this.folder.path(`record-${Math.random()}.json`);
    await writeFile(path, file);
    const { exit, out, err } = await runCommand(run, path, ...args, '--json');
    return { exit, verdict: JSON.parse(out) as RecordVerdict, err };
  }

  /** Under the right policy. */
  verify(file: string, ...args: readonly string[]): Promise<Judged> {
    return this.judge(file, ...this.folder.trust(), ...args);
  }

  /** Of a record that is refused; throws for another. */
  async codeOf(file: string): Promise<unknown> {
    const { exit, verdict } = await this.verify(file, '--account', ACCOUNT);
    if (exit !== 1 || verdict.record !== null) throw new Error(`exit code ${exit}`);
    return verdict.code;
  }
}

/** Three hours with a deposit in the middle that is no gain. */
export function threeHours(): readonly HourFigures[] {
  const nothing = { before: 0n, valued: true };
  return record([
    { gain: money(10), flow: 0n, ...nothing },
    { gain: 0n, flow: money(500), ...nothing },
    { gain: money('30.2'), flow: 0n, ...nothing },
  ]);
}

export async function built(hours: readonly HourFigures[] = threeHours()): Promise<RecordBuilder> {
  const builder = await RecordBuilder.create();
  builder.addHours(hours);
  return builder;
}
