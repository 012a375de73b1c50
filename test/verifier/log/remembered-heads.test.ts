import { existsSync } from 'node:fs';
import { readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { measurementsJson } from '../../../simulator/nsm/measure.ts';
import { HeadMemory } from '../../../verifier/heads.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { BuiltEpoch } from '../../helpers/epoch-files.ts';
import { EpochBuilder, measurements, sampleEpoch } from '../../helpers/epoch-builder.ts';
import { LogFolder } from './log-folder.ts';

let folder: LogFolder;

beforeAll(async () => {
  folder = await LogFolder.create();
});
afterEach(() => folder.forget());
afterAll(() => folder.remove());

/** The code of the refusal, or the verdict. */
async function outcome(epochs: readonly BuiltEpoch[], ...args: readonly string[]): Promise<string> {
  await folder.write(epochs);
  const { verdict } = await folder.verifyAgain(...args);
  return verdict.code ?? verdict.verdict;
}

/** An epoch of `size` leaves, under a note for each; `grow` adds to it. */
async function epochOf(size: number): Promise<EpochBuilder> {
  const epoch = await EpochBuilder.create();
  grow(epoch, size);
  return epoch;
}

function grow(epoch: EpochBuilder, size: number): void {
  while (epoch.size < size) epoch.addInput();
  epoch.commit();
}

function originsOf(text: string): readonly string[] {
  return Object.keys((JSON.parse(text) as { origins: object }).origins);
}

describe('remembered heads', () => {
  it('must lie in every later tree', async () => {
    const epoch = await epochOf(5);
    expect(await outcome([epoch])).toBe('verified');
    expect(await outcome([epoch])).toBe('verified');
    grow(epoch, 9);
    await folder.write([epoch]);
    const { verdict } = await folder.verifyAgain();
    expect(verdict.consistency).toEqual({ result: 'ok', remembered_heads: 1 });
    // Only the newest head needs to be kept: it covers the others.
    const heads = assertAccepted(await HeadMemory.load(folder.heads)).heads(epoch.origin);
    expect(heads.map(({ size }) => size)).toEqual([9]);
  });

  it('convict a log that was rewritten by its own enclave', async () => {
    const epoch = await epochOf(5);
    const memory = assertAccepted(await HeadMemory.load(folder.heads));
    const logKeyHash = epoch.link().logKeyHash;
    const root = new Uint8Array(32).fill(1);
    memory.remember({ origin: epoch.origin, logKeyHash, size: 3, root }, 1);
    await memory.save();
    expect(await outcome([epoch])).toBe('fork');
  });

  it('show that a whole epoch is hidden', async () => {
    const first = await sampleEpoch();
    const second = await sampleEpoch({ epoch: 2, previous: first.link({ clean: true }) });
    expect(await outcome([first, second])).toBe('verified');
    expect(await outcome([first])).toBe('rollback');
    expect(await outcome([first], '--epoch', '1')).toBe('verified');
  });

  it('show it too when the source says that an epoch stands alone', async () => {
    const first = await sampleEpoch();
    const second = await sampleEpoch({ epoch: 2, previous: first.link({ clean: true }) });
    expect(await outcome([first, second])).toBe('verified');
    await folder.write([first]);
    const alone = `${folder.log}/epochs/0000000001`;
    const moved = folder.path('alone');
    await rename(alone, moved);
    const args = [...folder.trust(), '--heads', folder.heads];
    expect((await folder.verifyLog(moved, ...args)).verdict.code).toBe('rollback');
    const asked = await folder.verifyLog(moved, ...args, '--epoch', '1');
    expect(asked.verdict.verdict).toBe('verified');
    const other = await folder.verifyLog(moved, ...args, '--epoch', '2');
    expect(other.verdict.code).toBe('checkpoint_origin');
  });

  it('are looked for behind the epochs in between, as far as these are there', async () => {
    const first = await sampleEpoch();
    const second = await sampleEpoch({ epoch: 2, previous: first.link({ clean: true }) });
    const third = await sampleEpoch({ epoch: 3, previous: second.link({ clean: true }) });
    expect(await outcome([first])).toBe('verified');
    await folder.write([first, third]);
    const { verdict } = await folder.verifyAgain();
    expect(verdict.skipped).toContain('earlier_epochs');
    expect(verdict.operator_could_still?.join()).toContain('rewritten the epochs');
    await folder.forget();
    expect(await outcome([first])).toBe('verified');
    await folder.write([first, second, third]);
    const whole = (await folder.verifyAgain()).verdict;
    expect([whole.verdict, whole.skipped.includes('earlier_epochs')]).toEqual(['verified', false]);
    const memory = assertAccepted(await HeadMemory.load(folder.heads));
    expect(new Set(memory.epochs(first.origin))).toEqual(new Set([1, 2, 3]));
  });

  it('convict a log that was rewritten below the epochs in between', async () => {
    const first = await sampleEpoch();
    const twin = await sampleEpoch();
    const second = await sampleEpoch({ epoch: 2, previous: twin.link({ clean: true }) });
    const third = await sampleEpoch({ epoch: 3, previous: second.link({ clean: true }) });
    const fourth = await sampleEpoch({ epoch: 4, previous: third.link({ clean: true }) });
    expect(await outcome([first])).toBe('verified');
    expect(await outcome([twin, second, third, fourth])).toBe('fork');
    expect(await outcome([second, third, fourth])).toBe('fork');
  });

  it('show that an epoch does not start where the one before ended', async () => {
    const first = await epochOf(9);
    const cut = first.link({ size: 8, root: first.tree.root(8) });
    const second = await sampleEpoch({ epoch: 2, previous: cut });
    expect(await outcome([first])).toBe('verified');
    expect(await outcome([second])).toBe('rollback');
    const other = await sampleEpoch({ epoch: 2, previous: (await epochOf(9)).link() });
    expect(await outcome([other])).toBe('fork');
    const honest = await sampleEpoch({ epoch: 2, previous: first.link() });
    expect(await outcome([honest])).toBe('verified');
  });

  it('include what a later epoch says of the one before', async () => {
    const first = await epochOf(9);
    const second = await sampleEpoch({ epoch: 2, previous: first.link() });
    expect(await outcome([second])).toBe('verified');
    const twin = await epochOf(9);
    expect(await outcome([twin], '--epoch', '1')).toBe('fork');
    expect(await outcome([first], '--epoch', '1')).toBe('verified');
  });

  it('allow a new start only to an origin that the policy names', async () => {
    const first = await epochOf(4);
    const second = await sampleEpoch({ epoch: 2, previous: first.link() });
    const third = await sampleEpoch({ epoch: 3, previous: second.link({ clean: true }) });
    expect(await outcome([third])).toBe('verified');
    // Known are epochs 3 and 2: an epoch 1 out of nowhere starts the log anew.
    expect(await outcome([first], '--epoch', '1')).toBe('epoch_without_predecessor');
    const policy = folder.path('pinned.json');
    const pinned = { ...(JSON.parse(measurementsJson(measurements)) as object) };
    await writeFile(policy, JSON.stringify({ ...pinned, origin: first.origin }));
    const args = ['--policy', policy, '--unsafe-root', folder.path('root.pem'), '--epoch', '1'];
    const named = await folder.verifyLog(folder.log, ...args, '--heads', folder.heads);
    expect(named.verdict.verdict).toBe('verified');
    expect(await outcome([first], '--epoch', '1')).toBe('verified');
  });
});

describe('the memory', () => {
  it('learns only from what verified under a policy', async () => {
    const epoch = await epochOf(4);
    await folder.write([epoch]);
    const root = ['--unsafe-root', folder.path('root.pem'), '--heads', folder.heads];
    const undecided = await folder.verifyLog(folder.log, ...root);
    expect(undecided.exit).toBe(2);
    expect(existsSync(folder.heads)).toBe(false);
    const pcrs = ['--pcr0', '--pcr1', '--pcr2'].flatMap((name) => [name, '11'.repeat(48)]);
    expect((await folder.verifyLog(folder.log, ...root, ...pcrs)).exit).toBe(1);
    expect(existsSync(folder.heads)).toBe(false);
    expect(await outcome([epoch])).toBe('verified');
    expect(originsOf(await readFile(folder.heads, 'utf8'))).toEqual([epoch.origin]);
    expect((await readdir(folder.root)).filter((name) => name.includes('.tmp'))).toEqual([]);
  });

  it('is asked without a policy too', async () => {
    expect(await outcome([await epochOf(4)])).toBe('verified');
    await folder.write([await epochOf(4)]);
    const root = ['--unsafe-root', folder.path('root.pem'), '--heads', folder.heads];
    const { exit, verdict } = await folder.verifyLog(folder.log, ...root);
    expect([exit, verdict.code]).toEqual([1, 'fork']);
  });

  it('is left alone on request, and with unsafe flags unless it is named', async () => {
    expect(await outcome([await epochOf(4)])).toBe('verified');
    await folder.write([await epochOf(4)]);
    expect((await folder.verify()).verdict.verdict).toBe('verified');
    const unnamed = await folder.verifyLog(folder.log, ...folder.trust());
    expect(unnamed.verdict.verdict).toBe('verified');
    expect(unnamed.verdict.skipped).toContain('remembered_heads');
    expect(unnamed.verdict.operator_could_still?.join()).toContain('no heads are remembered');
  });

  it('refuses to work with a damaged file', async () => {
    await writeFile(folder.heads, '{"version": 1}');
    await folder.write([await epochOf(4)]);
    const { exit, verdict } = await folder.verifyAgain();
    expect([exit, verdict.code]).toEqual([2, 'file_unreadable']);
  });

  it('is bounded', async () => {
    const memory = assertAccepted(await HeadMemory.load(folder.heads));
    const logKeyHash = new Uint8Array(32);
    const root = new Uint8Array(32);
    for (let index = 0; index < 1030; index++) {
      memory.remember({ origin: `log/e${index}`, logKeyHash, size: 1, root }, index);
    }
    expect(memory.origins()).toHaveLength(1024);
    expect(memory.origins()[0]).toBe('log/e6');
    for (let size = 1; size < 100; size++) {
      memory.remember({ origin: 'log/many', logKeyHash, size, root }, size);
    }
    expect(memory.heads('log/many')).toHaveLength(64);
    await memory.save();
    expect(assertAccepted(await HeadMemory.load(folder.heads)).origins()).toHaveLength(1024);
  });
});
