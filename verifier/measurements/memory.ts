// The newest list of measurements that this verifier has seen, per release key: who sends an older one
// would hide a revocation. Trusts its own file, like the memory of heads; whoever can write there can make
// us forget.
//
//   { "version": 1, "lists": { "<SHA-256 of the release key's SPKI, hex>": { "counter", "sha256": hex } } }

import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { lockHeads } from '../heads-lock.ts';
import type { CommandIo } from '../io.ts';
import { readSmallFile } from '../small-file.ts';
import type { VerifiedList } from './list.ts';

const MAX_FILE_BYTES: number = 1024 * 1024;
const hash = z.string().regex(/^[0-9a-f]{64}$/u);
const schema = z.strictObject({
  version: z.literal(1),
  lists: z.record(hash, z.strictObject({ counter: z.int().min(1), sha256: hash })),
});
type Lists = z.infer<typeof schema>['lists'];

async function load(path: string): Promise<Result<Lists>> {
  const bytes = await readSmallFile(path, MAX_FILE_BYTES);
  if (!bytes.ok) {
    return bytes.refusal.detail['system'] === 'ENOENT' ? accept({}) : bytes;
  }
  try {
    const parsed = schema.safeParse(JSON.parse(Buffer.from(bytes.value).toString('utf8')));
    if (parsed.success) return accept(parsed.data.lists);
  } catch {
    // Not JSON at all.
  }
  return refuse('file_unreadable', { path, what: 'not a memory of lists' });
}

/** Refuses a list that is older than one seen before, or another one with the same counter. */
export async function rememberList(
  path: string,
  { list, sha256, releaseKey }: VerifiedList,
): Promise<Result<null>> {
  const lock = await lockHeads(path);
  if (!lock.ok) return lock;
  try {
    const lists = await load(path);
    if (!lists.ok) return lists;
    const known = lists.value[releaseKey];
    const { counter } = list;
    if (known !== undefined && counter < known.counter) {
      return refuse('measurements_older', { expected: known.counter, actual: counter });
    }
    if (known?.counter === counter) {
      return known.sha256 === sha256
        ? accept(null)
        : refuse('measurements_conflict', { counter, expected: known.sha256, actual: sha256 });
    }
    return await save(path, { ...lists.value, [releaseKey]: { counter, sha256 } });
  } finally {
    lock.value.release();
  }
}

async function save(path: string, lists: Lists): Promise<Result<null>> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const json = `${JSON.stringify({ version: 1, lists }, null, 2)}\n`;
    await writeFile(temporary, json, { flush: true });
    await rename(temporary, path);
    return accept(null);
  } catch (error) {
    const system = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    return refuse('file_unreadable', { path, what: 'cannot be written', system });
  }
}

/** $TRACKSEAL_LISTS, else beside the memory of heads in the user's state folder. */
export function listsPath(env: CommandIo['env']): string {
  const given = env['TRACKSEAL_LISTS'];
  if (given !== undefined && given !== '') return given;
  const state = env['XDG_STATE_HOME'] ?? join(env['HOME'] ?? '.', '.local', 'state');
  return join(state, 'trackseal', 'measurements.json');
}
