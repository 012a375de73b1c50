// What the host's commands have in common at the edge: the operator's file, and refusals as a person reads them.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { REFUSAL_CODES } from '../wire/codes.ts';
import type { RefusalCode } from '../wire/codes.ts';
import type { Refusal } from '../wire/result.ts';
import type { HostConfig } from './config-file.ts';
import { parseHostConfig } from './config-file.ts';
import type { Failed } from '../wire/messages.ts';
import { FolderConflict } from './epoch-folder.ts';
import { DiskFailure } from './files.ts';
import { failureFields, nextStep } from './secrets/failure.ts';
import type { SealedFile } from './secrets/secrets.ts';

/** What the command may touch of the terminal. */
export interface HostIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly isTerminal: boolean;
}

const HINTS: Partial<Readonly<Record<RefusalCode, string>>> = {
  folder_in_use: 'stop the other host proxy, or give this one folders and a log of its own',
  spool_corrupt:
    'acknowledged commits are damaged: keep the state folder as it is, check the disk, restore from a copy',
  folder_conflict:
    'keep the log folder as it is and compare it with a copy; nothing was overwritten',
  origin_mismatch: 'the log folder belongs to another log_id: give this log a folder of its own',
  disk_failed: 'check the disk and its free space; the next start recovers what was acknowledged',
  file_unreadable: 'check the path in the configuration file and its permissions',
  config_invalid: 'correct the field in the file that `configuration` names',
};

export /** Null when it cannot be read or is wrong, which was said. */
function readConfig(path: string, io: HostIo): HostConfig | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    io.stderr(`${path}: cannot be read; --config names the operator's file\n`);
    return null;
  }
  const parsed = parseHostConfig(text, resolve(path));
  if (parsed.ok) return parsed.config;
  for (const problem of parsed.problems) io.stderr(`${path}: ${problem}\n`);
  return null;
}

export function explain(io: HostIo, { code, detail }: Refusal): void {
  const facts = Object.entries(detail).map(([name, value]) => `  ${name}  ${value}`);
  const hint = HINTS[code] ?? nextStep(code);
  io.stderr(
    [
      `${code}: ${REFUSAL_CODES[code]}`,
      ...facts,
      ...(hint === undefined ? [] : [`  next  ${hint}`]),
      '',
    ].join('\n'),
  );
}

/** Why the enclave stopped, as it says. */
export function explainFailure(io: HostIo, failed: Failed, sealed: readonly SealedFile[]): void {
  const { code, means, next, ...facts } = failureFields(failed, sealed);
  const lines = Object.entries(facts).map(
    ([name, value]) => `  ${name.replaceAll('_', ' ')}  ${value}`,
  );
  io.stderr(
    [
      `the enclave stopped: ${code}: ${means}`,
      ...lines,
      ...(next === undefined ? [] : [`  next  ${next}`]),
      '',
    ].join('\n'),
  );
}

/** What ends the process, as a refusal that can be explained; null for a bug. */
export function failureOf(error: unknown): Refusal | null {
  if (error instanceof DiskFailure) {
    const { operation, path, systemCode } = error;
    return { code: 'disk_failed', detail: { operation, path, error: systemCode } };
  }
  if (error instanceof FolderConflict) {
    return { code: 'folder_conflict', detail: { path: error.path } };
  }
  return null;
}
