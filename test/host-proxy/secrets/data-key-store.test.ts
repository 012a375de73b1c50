import { beforeEach, describe, expect, it } from 'vitest';
import { writeDurably } from '../../../host-proxy/durable-file.ts';
import { makeDirectories } from '../../../host-proxy/files.ts';
import { rotationName } from '../../../host-proxy/requests.ts';
import { DataKeyStore, recordName } from '../../../host-proxy/secrets/data-key-store.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { encodeDataKeyRecord, MAX_DATA_KEY_RECORDS } from '../../../wire/sealed.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';

const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef';
const DIRECTORY = '/state/data-keys';
const REQUESTS = '/state/requests';

function recordOf(name: string, version: number, byte = 1): Uint8Array {
  const image = new Uint8Array(48).fill(7);
  const ciphertext = new Uint8Array(100).fill(byte);
  return encodeDataKeyRecord({ name, version, keyArn: ARN, image, ciphertext });
}

function storeOn(disk: MemoryFiles, names: readonly string[]): DataKeyStore {
  return new DataKeyStore({ files: disk, directory: DIRECTORY, requests: REQUESTS, names });
}

async function opened(
  disk: MemoryFiles,
  names: readonly string[] = ['venue'],
): Promise<DataKeyStore> {
  const store = storeOn(disk, names);
  assertAccepted(await store.read());
  return store;
}

describe('data keys on the disk', () => {
  let files: MemoryFiles;

  beforeEach(() => {
    files = new MemoryFiles();
  });

  it('are there after a power cut once they are kept', async () => {
    const store = await opened(files);
    assertAccepted(await store.keep(recordOf('venue', 1)));
    const after = files.afterCrash('nothing');
    expect(assertAccepted(await storeOn(after, ['venue']).read())).toEqual({
      records: [recordOf('venue', 1)],
      rotate: [],
    });
  });

  it('are whole or not there, wherever the power is cut', async () => {
    for (const survival of ['nothing', 'everything'] as const) {
      // Each operation of the disk in turn is the last one.
      for (let last = 0; ; last++) {
        const disk = new MemoryFiles();
        const store = await opened(disk);
        disk.crashAt = disk.operations + last;
        const kept = await store.keep(recordOf('venue', 1)).catch(() => null);
        const read = await storeOn(disk.afterCrash(survival), ['venue']).read();
        const { records } = assertAccepted(read);
        expect([[], [recordOf('venue', 1)]]).toContainEqual(records);
        if (kept === null) continue;
        expect(records).toEqual([recordOf('venue', 1)]);
        expect(last).toBeGreaterThan(4);
        break;
      }
    }
  });

  it('a name that no file could have is kept like any other', async () => {
    const name = 'a/b c.d-e';
    const store = await opened(files, [name]);
    assertAccepted(await store.keep(recordOf(name, 1)));
    expect(files.list(DIRECTORY)).toEqual([recordName({ name, version: 1 })]);
    expect(recordName({ name, version: 1 })).not.toContain('/');
    expect(assertAccepted(await storeOn(files, [name]).read()).records).toHaveLength(1);
  });

  it('no record is ever replaced: the same again is fine, another is refused', async () => {
    const store = await opened(files);
    assertAccepted(await store.keep(recordOf('venue', 1)));
    assertAccepted(await store.keep(recordOf('venue', 1)));
    expect(await store.keep(recordOf('venue', 1, 2))).toMatchObject({
      refusal: { code: 'seal_unexpected' },
    });
    expect(assertAccepted(await storeOn(files, ['venue']).read()).records).toEqual([
      recordOf('venue', 1),
    ]);
  });

  it.each([
    ['a name that the configuration does not have', recordOf('other', 1), 'seal_unexpected'],
    ['an older version than the newest', recordOf('venue', 2), 'seal_rolled_back'],
    ['no record', utf8('nothing'), 'seal_malformed'],
  ])('%s is refused', async (_, bytes, code) => {
    const store = await opened(files);
    assertAccepted(await store.keep(recordOf('venue', 3)));
    expect(await store.keep(bytes)).toMatchObject({ refusal: { code } });
    expect(files.list(DIRECTORY)).toHaveLength(1);
  });

  it('N records are kept, N+1 are refused', async () => {
    const store = await opened(files);
    for (let version = 1; version <= MAX_DATA_KEY_RECORDS; version++) {
      assertAccepted(await store.keep(recordOf('venue', version)));
    }
    expect(await store.keep(recordOf('venue', MAX_DATA_KEY_RECORDS + 1))).toMatchObject({
      refusal: { code: 'seal_unexpected' },
    });
  });

  it('several at once are kept one after the other', async () => {
    const store = await opened(files);
    const kept = [1, 2, 3].map((version) => store.keep(recordOf('venue', version)));
    expect((await Promise.all(kept)).map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(store.kept.map(({ version }) => version)).toEqual([1, 2, 3]);
  });

  it('damage is refused with the file, and nothing is removed', async () => {
    const store = await opened(files);
    assertAccepted(await store.keep(recordOf('venue', 1)));
    await writeDurably(files, DIRECTORY, 'venue-1.key', recordOf('venue', 1).subarray(0, 50));
    expect(await storeOn(files, ['venue']).read()).toMatchObject({
      refusal: { code: 'seal_malformed', detail: { file: `${DIRECTORY}/venue-1.key` } },
    });
    expect(files.list(DIRECTORY)).toEqual(['venue-1.key']);
  });

  it('a key that the configuration has no more stays on the disk and is not sent', async () => {
    const store = await opened(files);
    assertAccepted(await store.keep(recordOf('venue', 1)));
    expect(assertAccepted(await storeOn(files, ['other']).read()).records).toEqual([]);
    expect(assertAccepted(await storeOn(files, ['venue']).read()).records).toHaveLength(1);
  });

  it('a rotation is asked for until a new version is kept', async () => {
    const store = await opened(files);
    assertAccepted(await store.keep(recordOf('venue', 1)));
    await makeDirectories(files, REQUESTS);
    await writeDurably(files, REQUESTS, rotationName('venue'), utf8('{}'));
    await writeDurably(files, REQUESTS, rotationName('unknown'), utf8('{}'));
    expect(assertAccepted(await store.read()).rotate).toEqual(['venue']);
    // A start that failed asks again.
    expect(assertAccepted(await store.read()).rotate).toEqual(['venue']);
    assertAccepted(await store.keep(recordOf('venue', 2)));
    expect(assertAccepted(await store.read())).toEqual({
      records: [recordOf('venue', 1), recordOf('venue', 2)],
      rotate: [],
    });
  });
});
