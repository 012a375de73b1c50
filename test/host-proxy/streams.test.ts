import { duplexPair } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { BootStream } from '../../host-proxy/boot-server.ts';
import type { BootMaterial } from '../../host-proxy/boot-server.ts';
import { EpochLog } from '../../host-proxy/epoch-log.ts';
import { LogStream } from '../../host-proxy/log-server.ts';
import { Channel } from '../../wire/channel.ts';
import type { Ack } from '../../wire/commit.ts';
import { parseAck } from '../../wire/commit.ts';
import type { Frame } from '../../wire/frame.ts';
import { encodeVaultWrite, parseVaultKept } from '../../wire/desk-messages.ts';
import type { AwsCredentials } from '../../wire/kms-messages.ts';
import { parseCredentials, parseDataKeys, parseHandOver } from '../../wire/kms-messages.ts';
import { FIRST_CREDIT_BULK_BYTES, MAX_BOOT_BYTES, MAX_LOG_IN_BYTES } from '../../wire/limits.ts';
import { encodeFailed, encodeHello, encodeReady, FRAME } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import { MAX_DATA_KEY_RECORD_BYTES } from '../../wire/sealed.ts';
import { LogWriter } from '../helpers/log-writer.ts';
import { MemoryFiles } from '../helpers/memory-files.ts';

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

interface LogRig {
  readonly files: MemoryFiles;
  readonly channel: Channel;
  readonly acks: Ack[];
  readonly events: string[];
}

async function logRig(): Promise<LogRig> {
  const files = new MemoryFiles();
  const events: string[] = [];
  const log = await EpochLog.create({
    files,
    crypto: nodeCrypto,
    spoolDirectory: '/state/spool/0000000001',
    logDirectory: '/log',
    epoch: 1,
    segmentBytes: 64 * 1024,
    onFailure: () => events.push('failure'),
  });
  const [host, enclave] = duplexPair();
  const stream = new LogStream(host, log, {
    onCommit: ({ size }) => events.push(`commit ${size}`),
    onEnd: (refusal) => events.push(`end ${refusal?.code ?? 'clean'}`),
    onFailure: () => events.push('failure'),
  });
  expect(stream).toBeDefined();
  const acks: Ack[] = [];
  const channel = new Channel(enclave, {
    maxReceiveBytes: MAX_LOG_IN_BYTES,
    firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
    types: [FRAME.ack],
    onFrame: ({ payload }) => {
      acks.push(assertAccepted(parseAck(payload)));
    },
    onEnd: (refusal) => events.push(`enclave's end ${refusal?.code ?? 'clean'}`),
  });
  return { files, channel, acks, events };
}

describe('log stream', () => {
  it('acknowledges what is durable, not before', async () => {
    const { files, channel, acks, events } = await logRig();
    const gate = Promise.withResolvers<null>();
    files.beforeSync = async () => {
      await gate.promise;
    };
    const writer = new LogWriter();
    channel.send(FRAME.commit, writer.commit());
    await settled();
    expect(acks).toEqual([]);
    expect(events).toEqual([]);
    gate.resolve(null);
    await settled();
    expect(acks).toEqual([{ epoch: 1, size: 1, root: writer.root() }]);
    expect(events).toEqual(['commit 1']);
  });

  it('joins the acknowledgements of commits that were synced together', async () => {
    const { channel, acks, events } = await logRig();
    const writer = new LogWriter();
    for (let count = 0; count < 20; count++) {
      writer.addInputs(2);
      channel.send(FRAME.commit, writer.commit());
    }
    await settled();
    expect(acks.at(-1)).toEqual({ epoch: 1, size: writer.size, root: writer.root() });
    expect(acks.length).toBeLessThan(5);
    expect(events).toHaveLength(20);
    await channel.close();
    await settled();
    expect(events.slice(20)).toEqual(['end clean', "enclave's end clean"]);
  });

  it('ends the stream at a commit that does not check, and acknowledges none after it', async () => {
    const { channel, acks, events } = await logRig();
    const writer = new LogWriter();
    channel.send(FRAME.commit, writer.commit());
    writer.addInputs(1);
    channel.send(FRAME.commit, writer.commit({ firstIndex: 0 }));
    writer.addInputs(1);
    channel.send(FRAME.commit, writer.commit());
    await settled();
    expect(acks.length).toBeLessThanOrEqual(1);
    expect(events).toContain('end commit_mismatch');
    expect(events.filter((event) => event.startsWith('commit'))).toEqual(['commit 1']);
  });

  it('reports a failed disk and acknowledges nothing', async () => {
    const { files, channel, acks, events } = await logRig();
    files.fault = { operation: 'fdatasync', at: 0, systemCode: 'EIO' };
    channel.send(FRAME.commit, new LogWriter().commit());
    await settled();
    expect(events).toContain('failure');
    expect(acks).toEqual([]);
  });
});

const MATERIAL: BootMaterial = {
  configuration: Uint8Array.of(123, 125),
  items: [
    {
      purpose: 'strategy',
      name: 'a',
      version: '1',
      salt: new Uint8Array(32),
      bytes: Uint8Array.of(1),
    },
    {
      purpose: 'parameters',
      name: 'a',
      version: '1',
      salt: new Uint8Array(32),
      bytes: Uint8Array.of(2),
    },
  ],
  previous: null,
  sealed: [Uint8Array.of(3), Uint8Array.of(4)],
  dataKeys: { records: [Uint8Array.of(5)], rotate: ['venue'] },
  vault: [{ recordId: new Uint8Array(16), bytes: Uint8Array.of(6) }],
};

const CREDENTIALS: AwsCredentials = {
  accessKeyId: 'ASIAEXAMPLE',
  secretAccessKey: 'secret',
  sessionToken: 'token',
  expiresMs: 1,
};

interface BootRig {
  readonly channel: Channel;
  readonly stream: BootStream;
  readonly frames: Frame[];
  readonly events: string[];
}

function bootRig(): BootRig {
  const [host, enclave] = duplexPair();
  const events: string[] = [];
  const frames: Frame[] = [];
  const stream = new BootStream(host, MATERIAL, {
    onReady: ({ origin }) => events.push(`ready ${origin}`),
    onFailed: ({ code }) => events.push(`failed ${code}`),
    onKept: (record) => events.push(`kept ${record.length}`),
    onVault: ({ id, bytes }) => events.push(`vault ${id} ${bytes?.length ?? 'none'}`),
    onEnd: (refusal) => events.push(`end ${refusal?.code ?? 'clean'}`),
  });
  const channel = new Channel(enclave, {
    maxReceiveBytes: MAX_BOOT_BYTES,
    firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
    types: [
      FRAME.config,
      FRAME.item,
      FRAME.previous,
      FRAME.go,
      FRAME.close,
      FRAME.credentials,
      FRAME.sealed,
      FRAME.dataKeys,
      FRAME.handOver,
      FRAME.vault,
      FRAME.vaultKept,
      FRAME.certificate,
    ],
    onFrame: (frame) => {
      frames.push(frame);
    },
    onEnd: () => undefined,
  });
  return { channel, stream, frames, events };
}

const READY = encodeReady({
  origin: 'trackseal.test/log/e0000000001',
  logKey: new Uint8Array(91),
  leaf0Hash: new Uint8Array(32),
});

describe('boot stream', () => {
  it('answers HELLO with everything in order, and asks to close', async () => {
    const { channel, stream, frames, events } = bootRig();
    await settled();
    expect(frames).toEqual([]);
    channel.send(FRAME.hello, encodeHello());
    await settled();
    const { config, item, sealed, dataKeys, previous, vault, go, close } = FRAME;
    const types = [config, item, item, sealed, sealed, dataKeys, previous, vault, go];
    expect(frames.map(({ type }) => type)).toEqual(types);
    expect(frames[0]?.payload).toEqual(MATERIAL.configuration);
    expect(frames[4]?.payload).toEqual(MATERIAL.sealed[1]);
    expect(assertAccepted(parseDataKeys(frames[5]?.payload ?? new Uint8Array()))).toEqual(
      MATERIAL.dataKeys,
    );
    expect(frames[6]?.payload).toHaveLength(0);
    channel.send(FRAME.ready, READY);
    stream.askToClose();
    await settled();
    expect(frames.at(-1)?.type).toBe(close);
    expect(events).toEqual(['ready trackseal.test/log/e0000000001']);
    await channel.close();
    await settled();
    expect(events.at(-1)).toBe('end clean');
  });

  it('sends no credentials before HELLO, the latest with the material, and newer ones as they come', async () => {
    const { channel, stream, frames } = bootRig();
    stream.sendCredentials({ ...CREDENTIALS, accessKeyId: 'ASIAOLD' });
    stream.sendCredentials(CREDENTIALS);
    await settled();
    expect(frames).toEqual([]);
    channel.send(FRAME.hello, encodeHello());
    await settled();
    stream.sendCredentials({ ...CREDENTIALS, accessKeyId: 'ASIANEW' });
    await settled();
    const sent = frames
      .filter(({ type }) => type === FRAME.credentials)
      .map(({ payload }) => assertAccepted(parseCredentials(payload)).accessKeyId);
    expect(sent).toEqual(['ASIAEXAMPLE', 'ASIANEW']);
    // Before GO: an enclave that needs them does not wait for a second message.
    const goes = frames.findIndex(({ type }) => type === FRAME.go);
    expect(frames.findIndex(({ type }) => type === FRAME.credentials)).toBeLessThan(goes);
  });

  it('hands over', async () => {
    const { channel, stream, frames } = bootRig();
    channel.send(FRAME.hello, encodeHello());
    channel.send(FRAME.ready, READY);
    await settled();
    const pcrs = [1, 2, 3].map((byte) => new Uint8Array(48).fill(byte));
    stream.handOver({ pcrs, note: 'version 2' });
    await settled();
    const last = frames.at(-1);
    expect(last?.type).toBe(FRAME.handOver);
    expect(assertAccepted(parseHandOver(last?.payload ?? new Uint8Array()))).toEqual({
      pcrs,
      note: 'version 2',
    });
  });

  it('hears of data keys up to READY, and of none after it', async () => {
    const { channel, events } = bootRig();
    channel.send(FRAME.hello, encodeHello());
    channel.send(FRAME.kept, new Uint8Array(MAX_DATA_KEY_RECORD_BYTES));
    channel.send(FRAME.ready, READY);
    await settled();
    expect(events).toEqual([
      `kept ${MAX_DATA_KEY_RECORD_BYTES}`,
      'ready trackseal.test/log/e0000000001',
    ]);
    channel.send(FRAME.kept, new Uint8Array(1));
    await settled();
    expect(events.at(-1)).toBe('end boot_order');
  });

  it('keeps records of the vault before and after READY, and hands certificates over', async () => {
    const { channel, stream, frames, events } = bootRig();
    expect(stream.sendCertificate(Uint8Array.of(1))).toBe(false);
    channel.send(FRAME.hello, encodeHello());
    const recordId = new Uint8Array(16);
    channel.send(FRAME.vault, encodeVaultWrite({ id: 3, recordId, bytes: Uint8Array.of(1, 2) }));
    channel.send(FRAME.ready, READY);
    channel.send(FRAME.vault, encodeVaultWrite({ id: 4, recordId, bytes: null }));
    await settled();
    expect(events).toEqual(['vault 3 2', 'ready trackseal.test/log/e0000000001', 'vault 4 none']);
    stream.sendVaultKept(3);
    expect(stream.sendCertificate(Uint8Array.of(7))).toBe(true);
    await settled();
    expect(frames.slice(-2).map(({ type }) => type)).toEqual([FRAME.vaultKept, FRAME.certificate]);
    expect(assertAccepted(parseVaultKept(frames.at(-2)?.payload ?? new Uint8Array()))).toBe(3);
    expect(frames.at(-1)?.payload).toEqual(Uint8Array.of(7));
    channel.send(FRAME.vault, Uint8Array.of(0xa0));
    await settled();
    expect(events.at(-1)).toBe('end message_malformed');
  });

  it('hears why an enclave did not start', async () => {
    const { channel, events } = bootRig();
    channel.send(FRAME.hello, encodeHello());
    channel.send(
      FRAME.failed,
      encodeFailed({ code: 'config_invalid', position: null, purpose: null, name: null }),
    );
    await settled();
    expect(events).toEqual(['failed config_invalid']);
  });

  it.each<[string, string, readonly (readonly [number, Uint8Array])[]]>([
    ['READY before HELLO', 'boot_order', [[FRAME.ready, READY]]],
    ['a data key before HELLO', 'boot_order', [[FRAME.kept, new Uint8Array(1)]]],
    [
      'a data key too long',
      'frame_too_large',
      [[FRAME.kept, new Uint8Array(MAX_DATA_KEY_RECORD_BYTES + 1)]],
    ],
    [
      'HELLO twice',
      'boot_order',
      [
        [FRAME.hello, encodeHello()],
        [FRAME.hello, encodeHello()],
      ],
    ],
    ['another version', 'message_malformed', [[FRAME.hello, Uint8Array.of(0xa1, 1, 2)]]],
    ['a frame of another stream', 'frame_unknown', [[FRAME.commit, new Uint8Array(1)]]],
    ['a HELLO too long', 'frame_too_large', [[FRAME.hello, new Uint8Array(1025)]]],
  ])('ends the stream at %s: %s', async (_, code, messages) => {
    const { channel, events } = bootRig();
    for (const [type, payload] of messages) channel.send(type, payload);
    await settled();
    expect(events).toEqual([`end ${code}`]);
  });
});
