import { expect, it } from 'vitest';
import { readPrevious } from '../../../host-proxy/previous.ts';
import type { RestoredEpoch } from '../../../host-proxy/ship/restore.ts';
import { restoreEpochs } from '../../../host-proxy/ship/restore.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { claimKey, commitsKey } from '../../../wire/object-keys.ts';
import { encodeCommitGroup } from '../../../wire/objects.ts';
import type { Result } from '../../../wire/result.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { LogWriter } from '../../helpers/log-writer.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';
import { MemoryStore } from '../../helpers/memory-store.ts';
import { SHIP_FOLDERS, wholeEpoch } from '../../helpers/ship-host.ts';

const RETAIN = { retainUntil: new Date(Date.now() + 1e12) };
const SUPERSEDED = utf8('trackseal/superseded/v1\nand what follows\n');

/** As an enclave under policy s3 leaves them: a claim, groups of two commits, and a mark of the successor. */
async function leave(store: MemoryStore, epoch: number, superseded: boolean): Promise<number> {
  const writer = new LogWriter(epoch, undefined, { commitPolicy: 's3' });
  const [claim = new Uint8Array(), ...rest] = wholeEpoch(writer, 7, 60);
  await store.putOnce(claimKey(epoch), claim, RETAIN);
  let number = 1;
  for (; rest.length > 0; number++) {
    await store.putOnce(commitsKey(epoch, number), encodeCommitGroup(rest.splice(0, 2)), RETAIN);
  }
  if (superseded) await store.putOnce(commitsKey(epoch, number), SUPERSEDED, RETAIN);
  return writer.size;
}

function restore(
  store: MemoryStore,
  files: MemoryFiles,
): Promise<Result<readonly RestoredEpoch[]>> {
  const run = <T>(call: (one: MemoryStore) => Promise<T>): Promise<T> => call(store);
  return restoreEpochs({ run, files, crypto: nodeCrypto, folders: SHIP_FOLDERS });
}

it('a host that has lost its disk offers the end of the last epoch in the bucket', async () => {
  const store = new MemoryStore();
  const sizes = [await leave(store, 1, true), await leave(store, 2, false)];
  const files = new MemoryFiles();
  const restored = assertAccepted(await restore(store, files));
  expect(restored).toEqual([
    { epoch: 1, size: sizes[0] },
    { epoch: 2, size: sizes[1] },
  ]);
  const previous = assertAccepted(readPrevious(files, nodeCrypto, SHIP_FOLDERS, []));
  expect(previous?.epoch).toBe(2);
  expect(previous?.previous.note.length).toBeGreaterThan(0);
  expect(assertAccepted(await restore(store, files))).toEqual([]);
  sizes.push(await leave(store, 3, false));
  expect(assertAccepted(await restore(store, files))).toEqual([{ epoch: 3, size: sizes[2] }]);
});

it('nothing is restored from an empty store', async () => {
  expect(assertAccepted(await restore(new MemoryStore(), new MemoryFiles()))).toEqual([]);
});

it('what no enclave wrote is refused, and no epoch of it can be offered', async () => {
  for (const bytes of [utf8('garbage'), encodeCommitGroup([utf8('garbage')])]) {
    const store = new MemoryStore();
    const writer = new LogWriter(1, undefined, { commitPolicy: 's3' });
    const [claim = new Uint8Array()] = wholeEpoch(writer, 2, 5);
    await store.putOnce(claimKey(1), claim, RETAIN);
    await store.putOnce(commitsKey(1, 1), bytes, RETAIN);
    const files = new MemoryFiles();
    expect((await restore(store, files)).ok).toBe(false);
    expect(assertAccepted(readPrevious(files, nodeCrypto, SHIP_FOLDERS, []))).toBeNull();
  }
});
