import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { findNextCommit } from '../../../host-proxy/ship/next-commit.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { FolderStore } from '../../../wire/node/objects/folder.ts';
import { claimKey, commitsKey } from '../../../wire/object-keys.ts';

const EPOCH = 7;
const MARK = utf8('trackseal/superseded/v1\norigin\n');

async function storeWith(groups: number): Promise<FolderStore> {
  const folder = await mkdtemp(join(tmpdir(), 'ts-next-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const store = new FolderStore(folder);
  const put = (key: string): Promise<unknown> =>
    store.putOnce(key, utf8(key), { retainUntil: null });
  await put(claimKey(EPOCH));
  for (let number = 1; number <= groups; number++) await put(commitsKey(EPOCH, number));
  return store;
}

it('is behind the last group, however many there are', async () => {
  for (const groups of [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33]) {
    expect(await findNextCommit(await storeWith(groups), EPOCH), `${groups} groups`).toBe(
      groups + 1,
    );
  }
});

it('is the place of a successor that died before its claim', async () => {
  for (const groups of [0, 1, 4]) {
    const store = await storeWith(groups);
    await store.putOnce(commitsKey(EPOCH, groups + 1), MARK, { retainUntil: null });
    expect(await findNextCommit(store, EPOCH), `${groups} groups`).toBe(groups + 1);
  }
});

it('is not there without a claim', async () => {
  expect(await findNextCommit(await storeWith(2), EPOCH + 1)).toBeNull();
});
