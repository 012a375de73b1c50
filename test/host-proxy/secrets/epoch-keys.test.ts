import { beforeEach, describe, expect, it } from 'vitest';
import { EpochLog } from '../../../host-proxy/epoch-log.ts';
import { createLogger } from '../../../host-proxy/logger.ts';
import { spoolDirectory } from '../../../host-proxy/recovery.ts';
import { DataKeyStore } from '../../../host-proxy/secrets/data-key-store.ts';
import { EpochKeys } from '../../../host-proxy/secrets/epoch-keys.ts';
import { readSpool } from '../../../host-proxy/spool.ts';
import type { EpochHeader } from '../../../wire/header.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { encodeDataKeyRecord } from '../../../wire/sealed.ts';
import { LogWriter, newLogKey } from '../../helpers/log-writer.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';

const ARN = 'arn:aws:kms:eu-central-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef';
const FOLDERS = { state: '/state', log: '/log' };

function recordOf(name: string, version = 1): Uint8Array {
  const image = new Uint8Array(48).fill(7);
  return encodeDataKeyRecord({ name, version, keyArn: ARN, image, ciphertext: image });
}

function named(...keys: readonly (readonly [string, number])[]): EpochHeader['dataKeys'] {
  return keys.map(([name, version]) => ({ name, version, mark: new Uint8Array(32) }));
}

function storeOn(files: MemoryFiles): DataKeyStore {
  const names = ['book', 'venue'];
  return new DataKeyStore({ files, directory: '/state/data-keys', requests: '/requests', names });
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

interface Rig {
  readonly log: EpochLog;
  readonly keys: EpochKeys;
  readonly events: string[];
}

async function rigOn(files: MemoryFiles, keepsKeys = true): Promise<Rig> {
  const events: string[] = [];
  const store = storeOn(files);
  assertAccepted(await store.read());
  const log = await EpochLog.create({
    files,
    crypto: nodeCrypto,
    spoolDirectory: spoolDirectory(FOLDERS, 1),
    logDirectory: FOLDERS.log,
    epoch: 1,
    segmentBytes: 64 * 1024,
    onFailure: () => undefined,
  });
  const keys = new EpochKeys({
    secrets: keepsKeys ? { dataKeys: store } : null,
    logger: createLogger({
      level: 'error',
      write: (line) => events.push(line),
      now: () => new Date(0),
    }),
    onRefused: (code) => events.push(code),
    onFailure: () => events.push('failure'),
  });
  log.admit = (header) => keys.admit(header);
  return { log, keys, events };
}

function writerWith(dataKeys: EpochHeader['dataKeys']): LogWriter {
  return new LogWriter(1, newLogKey(), { dataKeys });
}

function spooled(files: MemoryFiles): number {
  const directory = spoolDirectory(FOLDERS, 1);
  return files.isDirectory(directory) ? [...readSpool(files, directory)].length : 0;
}

describe('the data keys of an epoch and its first commit', () => {
  let files: MemoryFiles;

  beforeEach(() => {
    files = new MemoryFiles();
  });

  it('the commit waits until every key that it names is durable, and those behind it wait in order', async () => {
    const { log, keys } = await rigOn(files);
    const writer = writerWith(named(['book', 1], ['venue', 1]));
    const sizes: number[] = [];
    const receive = async (): Promise<void> => {
      const payload = writer.commit();
      sizes.push(assertAccepted(await log.receive(payload)).ack.size);
    };
    const first = receive();
    writer.addInputs(1);
    const second = receive();
    keys.keep(recordOf('book'));
    await keys.idle();
    await settled();
    expect([spooled(files), log.acknowledgedSize, sizes]).toEqual([0, 0, []]);
    keys.keep(recordOf('venue'));
    writer.addInputs(1);
    const third = receive();
    await Promise.all([first, second, third]);
    expect(sizes).toEqual([1, 2, 3]);
    expect(spooled(files)).toBe(3);
    await log.finish();
  });

  it('wherever the machine goes down, a disk with leaf 0 has the key that it names', async () => {
    for (const survival of ['nothing', 'everything'] as const) {
      let stored = 0;
      // Each operation of the disk in turn is the last one.
      for (let last = 0; stored === 0; last++) {
        const disk = new MemoryFiles();
        const { log, keys } = await rigOn(disk);
        disk.crashAt = disk.operations + last;
        const received = log.receive(writerWith(named(['venue', 1])).commit());
        received.catch(() => undefined);
        keys.keep(recordOf('venue'));
        await settled();
        const after = disk.afterCrash(survival);
        stored = spooled(after);
        const { records } = assertAccepted(await storeOn(after).read());
        expect(records.length, `operation ${last}, ${stored} commits`).toBeGreaterThanOrEqual(
          stored,
        );
        expect(last, 'operations until leaf 0 is there').toBeLessThan(100);
      }
    }
  });

  it('an epoch that ended stores nothing afterwards, whatever comes', async () => {
    const { log, keys } = await rigOn(files);
    const received = log.receive(writerWith(named(['venue', 1])).commit());
    await settled();
    await log.finish();
    keys.keep(recordOf('venue'));
    expect(await received).toMatchObject({ ok: false, refusal: { code: 'stream_closed' } });
    expect(spooled(files)).toBe(0);
  });

  it('waits for nothing that is there, where nothing is named, and where no keys are kept', async () => {
    const { keys } = await rigOn(files);
    expect(keys.admit({ dataKeys: [] })).toBeNull();
    expect(keys.admit({ dataKeys: named(['venue', 1]) })).not.toBeNull();
    keys.keep(recordOf('venue'));
    await keys.idle();
    expect(keys.admit({ dataKeys: named(['venue', 1]) })).toBeNull();
    // Brought by the host: of an earlier epoch.
    const next = await rigOn(new MemoryFiles(), false);
    expect(next.keys.admit({ dataKeys: named(['venue', 1]) })).toBeNull();
  });

  it.each([
    ['another version', named(['venue', 2])],
    ['the version of another name', named(['book', 1])],
    ['one of two', named(['venue', 1], ['venue', 2])],
    ['a name that the configuration does not have', named(['other', 1])],
  ])('%s is missing, and that is said', async (_, dataKeys) => {
    const { keys, events } = await rigOn(files);
    keys.keep(recordOf('venue'));
    await keys.idle();
    expect(keys.timeoutCode()).toBe('boot_timeout');
    expect(keys.admit({ dataKeys })).not.toBeNull();
    expect(keys.timeoutCode()).toBe('seal_missing');
    expect(events.join('')).toContain('data_key_missing');
  });

  it('a record that waits for the disk is late, not missing', async () => {
    const { keys, events } = await rigOn(files);
    const gate = Promise.withResolvers<void>();
    files.beforeSync = () => gate.promise;
    expect(keys.admit({ dataKeys: named(['venue', 1]) })).not.toBeNull();
    keys.keep(recordOf('venue'));
    await settled();
    expect(keys.timeoutCode()).toBe('boot_timeout');
    gate.resolve();
    await keys.idle();
    expect([keys.timeoutCode(), events]).toEqual(['boot_timeout', []]);
  });
});
