// A log folder in a temporary directory and the commands that are run over it, for tests of the verifier.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measurementsJson } from '../../../simulator/nsm/measure.ts';
import type { CommandIo } from '../../../verifier/io.ts';
import { run as runLogProve } from '../../../verifier/commands/log-prove.ts';
import { run as runVerifyLog } from '../../../verifier/commands/verify-log.ts';
import { run as runVerifyProof } from '../../../verifier/commands/verify-proof.ts';
import type { ProofVerdict } from '../../../verifier/log/proof-verdict.ts';
import type { LogVerdict } from '../../../verifier/log/verdict.ts';
import { compliance, measurements, simulatedRoot } from '../../helpers/epoch-builder.ts';
import type { BuiltEpoch } from '../../helpers/epoch-files.ts';
import { epochFolder, filesOf, writeFiles } from '../../helpers/epoch-files.ts';

type Run = (args: readonly string[], io: CommandIo) => Promise<number>;

export interface Outcome {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

export interface Judged<T> extends Outcome {
  readonly verdict: T;
}

export type FileMap = Map<string, Uint8Array>;

export class LogFolder {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  static async create(): Promise<LogFolder> {
    const folder = new LogFolder(await mkdtemp(join(tmpdir(), 'trackseal-log-')));
    await writeFile(folder.path('policy.json'), measurementsJson(measurements));
    await writeFile(folder.path('root.pem'), (await simulatedRoot()).pem);
    await writeFile(folder.path('key.pem'), compliance.pem);
    return folder;
  }

  /** The log; `write` replaces it as a whole. */
  get log(): string {
    return this.path('log');
  }

  get heads(): string {
    return this.path('heads.json');
  }

  path(name: string): string {
    return join(this.root, name);
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  /** Writes epochs as an honest host would, after `change` has done its work on the files. */
  async write(
    epochs: readonly BuiltEpoch[],
    change: (files: FileMap) => void = () => undefined,
  ): Promise<void> {
    await rm(this.log, { recursive: true, force: true });
    const files: FileMap = new Map(epochs.flatMap((epoch) => [...filesOf(epoch)]));
    change(files);
    await writeFiles(this.log, files);
  }

  async forget(): Promise<void> {
    await rm(this.heads, { force: true });
  }

  trust(): readonly string[] {
    return ['--policy', this.path('policy.json'), '--unsafe-root', this.path('root.pem')];
  }

  /** Under the right policy, without remembered heads. */
  verify(...args: readonly string[]): Promise<Judged<LogVerdict>> {
    return this.verifyLog(this.log, ...this.trust(), '--no-heads', ...args);
  }

  /** Under the right policy, with remembered heads. */
  verifyAgain(...args: readonly string[]): Promise<Judged<LogVerdict>> {
    return this.verifyLog(this.log, ...this.trust(), '--heads', this.heads, ...args);
  }

  async verifyLog(...args: readonly string[]): Promise<Judged<LogVerdict>> {
    const outcome = await runCommand(runVerifyLog, ...args, '--json');
    return { ...outcome, verdict: JSON.parse(outcome.out) as LogVerdict };
  }

  /** With variables of the environment. */
  async verifyLogWith(
    env: CommandIo['env'],
    ...args: readonly string[]
  ): Promise<Judged<LogVerdict>> {
    const withEnv: Run = (given, io) => runVerifyLog(given, { ...io, env: { ...io.env, ...env } });
    const outcome = await runCommand(withEnv, ...args, '--json');
    return { ...outcome, verdict: JSON.parse(outcome.out) as LogVerdict };
  }

  async verifyProof(...args: readonly string[]): Promise<Judged<ProofVerdict>> {
    const outcome = await runCommand(runVerifyProof, ...args, '--json');
    return { ...outcome, verdict: JSON.parse(outcome.out) as ProofVerdict };
  }

  /** Answers the path of the proof. */
  async prove(index: number, ...args: readonly string[]): Promise<string> {
    const file = this.path(`${index}.tlog-proof`);
    const outcome = await runCommand(
      runLogProve,
      this.log,
      '--index',
      String(index),
      '-o',
      file,
      ...args,
    );
    if (outcome.exit !== 0) throw new Error(outcome.err);
    return file;
  }
}

export async function runCommand(run: Run, ...args: readonly string[]): Promise<Outcome> {
  let [out, err] = ['', ''];
  const exit = await run(args, {
    stdout: (text) => {
      out += text;
    },
    stderr: (text) => {
      err += text;
    },
    isTerminal: false,
    env: { HOME: '/nonexistent' },
  });
  return { exit, out, err };
}

/** Replaces one file below the epoch's folder. */
export function changeFile(
  files: FileMap,
  epoch: number,
  path: string,
  change: (bytes: Uint8Array) => Uint8Array,
): void {
  const whole = `${epochFolder(epoch)}/${path}`;
  const bytes = files.get(whole);
  if (bytes === undefined) throw new Error(`no file ${whole}`);
  files.set(whole, change(bytes));
}

export function removeFiles(files: FileMap, epoch: number, start: string): void {
  const prefix = `${epochFolder(epoch)}/${start}`;
  const names = [...files.keys()].filter((name) => name.startsWith(prefix));
  if (names.length === 0) throw new Error(`no files ${prefix}`);
  for (const name of names) files.delete(name);
}

export function flipByte(at: number): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => bytes.with(at, (bytes.at(at) ?? 0) ^ 1);
}

/** Another letter in the base64 of the last signature: still a note, but not a signed one. */
export function forgeSignature(note: Uint8Array): Uint8Array {
  const at = note.length - 12;
  return note.with(at, note[at] === 0x41 ? 0x42 : 0x41);
}
