// Writes eif/image.lock. By default only what comes from the repository is pinned anew, without network;
// `--all` asks apt for Debian's current packages as well. `--check` compares instead of writing: exit code 1
// and the first difference.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { machineFetch } from '../eif/build/toolchain.ts';
import type { ImageLock } from '../eif/lock/lock.ts';
import { encodeLock } from '../eif/lock/lock.ts';
import { fetchPackages } from '../eif/lock/fetch.ts';
import { EXAMPLE_COMMITMENT, checkInputs, repositoryInputs } from '../eif/lock/repository.ts';
import { LOCK_FILE, readLock } from '../eif/lock/read.ts';
import { resolvePackages } from '../eif/lock/resolve.ts';
import { hintOf } from '../verifier/hints.ts';
import { parseHex } from '../wire/bytes.ts';
import { REFUSAL_CODES } from '../wire/codes.ts';
import { canonicalJson } from '../wire/configuration.ts';
import type { Refusal, Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { ROOT } from './bundle.ts';
import { packStrategy } from './strategy-pack.ts';

const EXAMPLE = join(ROOT, 'strategies/order-flow.ts');
const EXAMPLE_SALT = join(ROOT, 'strategies/order-flow.salt');

/**
 * The example's commitment. Its salt is public, so that anybody makes the same one: it hides nothing, and
 * the example is no secret.
 */
export async function exampleCommitment(): Promise<Uint8Array> {
  const salt = parseHex((await readFile(EXAMPLE_SALT, 'utf8')).trim()) ?? new Uint8Array(0);
  const { commitment } = await packStrategy(EXAMPLE, 'order-flow', '1.0.0', salt);
  return canonicalJson(commitment);
}

function report(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Debian's packages of today, all of them fetched, so that nothing is pinned that cannot be had. */
async function resolveDebian(): Promise<Result<ImageLock['debian']>> {
  const packages = await resolvePackages();
  if (!packages.ok) return packages;
  const snapshot = `${new Date().toISOString().replaceAll(/[-:]/gu, '').slice(0, 15)}Z`;
  const debian = { snapshot, packages: packages.value };
  const lock = { version: 1, debian, npm: [], bundles: [], files: [] } as const;
  const files = await fetchPackages(
    debian.packages,
    await machineFetch(lock, { onProgress: report }),
  );
  return files.ok ? accept(debian) : files;
}

async function refresh(all: boolean): Promise<Result<Uint8Array>> {
  const debian = all ? await resolveDebian() : await readLock();
  if (!debian.ok) return debian;
  await writeFile(join(ROOT, EXAMPLE_COMMITMENT), await exampleCommitment());
  const inputs = await repositoryInputs();
  if (!inputs.ok) return inputs;
  const kept = 'debian' in debian.value ? debian.value.debian : debian.value;
  return accept(encodeLock({ version: 1, debian: kept, ...inputs.value }));
}

async function check(): Promise<Result<null>> {
  const lock = await readLock();
  if (!lock.ok) return lock;
  const committed = await readFile(join(ROOT, EXAMPLE_COMMITMENT));
  if (Buffer.compare(committed, await exampleCommitment()) !== 0) {
    return refuse('input_changed', { input: EXAMPLE_COMMITMENT });
  }
  const inputs = await repositoryInputs();
  return inputs.ok ? checkInputs(lock.value, inputs.value) : inputs;
}

function explain({ code, detail }: Refusal): void {
  const lines = Object.entries(detail).map(
    ([name, value]) => `  ${name.padEnd(14)}${String(value)}`,
  );
  const hint = `  next          ${hintOf(code)}`;
  process.stderr.write([`${code}: ${REFUSAL_CODES[code]}`, ...lines, hint, ''].join('\n'));
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--check')) {
    const checked = await check();
    if (!checked.ok) explain(checked.refusal);
    return checked.ok ? 0 : 1;
  }
  const lock = await refresh(args.includes('--all'));
  if (!lock.ok) {
    explain(lock.refusal);
    return 1;
  }
  await writeFile(LOCK_FILE, lock.value);
  process.stdout.write(`${LOCK_FILE}\n`);
  return 0;
}

if (import.meta.main && import.meta.filename.endsWith('lock.ts')) {
  process.exitCode = await main(process.argv.slice(2));
}
