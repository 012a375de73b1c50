// The core against a desk that the test plays, frame by frame: what it may have, and what ends it.

import { duplexPair } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { publicKeysOf } from '../../enclave/desk/keys.ts';
import { PURPOSE } from '../../wire/attestation/user-data.ts';
import { parseUserData } from '../../wire/attestation/parse-user-data.ts';
import { verifyAttestation } from '../../wire/attestation/verify.ts';
import { AUDIT_EVENT } from '../../wire/audit.ts';
import { parseAuditEntry } from '../../wire/parse-audit.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { encodeCbor } from '../../wire/cbor.ts';
import { Channel } from '../../wire/channel.ts';
import * as messages from '../../wire/desk-messages.ts';
import { DESK_FRAME } from '../../wire/desk-messages.ts';
import type { Frame } from '../../wire/frame.ts';
import { parseHeader } from '../../wire/header.ts';
import { KIND, LABEL, STREAM } from '../../wire/leaf.ts';
import { FIRST_CREDIT_BULK_BYTES, MAX_DESK_PLAINTEXT_BYTES } from '../../wire/limits.ts';
import { EpochVerifier } from '../../wire/log-verification/epoch-verifier.ts';
import { encodeVaultKept, encodeVaultRecord, FRAME } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { CLOSE_REASON } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { HostOptions, TestHost } from '../helpers/enclave-host.ts';
import { hostConfiguration, newNsm, startHost, STREAM_A } from '../helpers/enclave-host.ts';
import { complianceKeys, testBatch, testTrust } from '../helpers/epoch-builder.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { fakeStrategies } from '../helpers/fake-strategy.ts';
import { PlayedDesk } from '../helpers/played-desk.ts';

vi.setConfig({ testTimeout: 20_000 });

const NOTHING = new Uint8Array(0);
const hex = (bytes: Uint8Array | null): string => toHex(bytes ?? NOTHING);
const MIB = 1024 * 1024;
/** The largest frame that the host may send for a desk. */
const CHAIN_BYTES: number = messages.MAX_CERTIFICATE_CHAIN_BYTES;
const chainsOf = (bytes: number): readonly Uint8Array[] =>
  Array.from({ length: bytes / CHAIN_BYTES }, (_, at) => new Uint8Array(CHAIN_BYTES).fill(at));
const TIME_NS = 1_700_000_000_000_000_000n;

interface Played {
  readonly desk: PlayedDesk;
  readonly host: TestHost;
}

async function started(options: HostOptions = {}): Promise<Played> {
  const desk = new PlayedDesk();
  const host = await startHost({ startDesk: desk.start, ...options });
  await host.ready();
  return { desk, host };
}

/** The enclave closes cleanly, and a verifier with compliance's key accepts the log. */
async function expectGoodEnd({ host }: Played): Promise<void> {
  host.enclave.close(CLOSE_REASON.signal);
  expect(await host.end).toEqual({ code: null });
  const verifier = new EpochVerifier(nodeCrypto, await testTrust(), complianceKeys());
  const entries = assertAccepted(verifier.parse(host.leaves));
  assertAccepted(verifier.add(entries, new Map()));
  for (const { note } of host.commits) assertAccepted(verifier.checkNote(note));
  assertAccepted(verifier.finish(host.commits.at(-1)?.note ?? NOTHING));
}

/** The code that the diagnostics say; the epoch goes on without the desk. */
async function endOf({ desk, host }: Played): Promise<string> {
  await desk.until(() => desk.ended);
  await host.until(() => host.diagnostics.length > 1);
  expect(desk.stopped).toBe(true);
  await host.connectFeed();
  host.feed?.send(FRAME.batch, testBatch(0, TIME_NS, STREAM_A));
  await host.until(() => host.feedOf(FRAME.progress).length === 1);
  return host.diagnostics[1]?.code ?? '';
}

describe('a desk', () => {
  it('has its keys in header and documents, and opens when leaves 0 and 1 are durable', async () => {
    const { desk, host } = await started();
    const header = assertAccepted(parseHeader(host.open(0)));
    const keys = publicKeysOf(desk.keys);
    expect(toHex(header.tlsKeyHash)).toBe(toHex(nodeCrypto.sha256(keys.tlsSpki)));
    expect([header.x25519Key, header.ed25519Key].map(hex)).toEqual(
      [keys.x25519, keys.ed25519].map(hex),
    );
    const [open] = desk
      .of(DESK_FRAME.open)
      .map((bytes) => assertAccepted(messages.parseDeskOpen(bytes)));
    expect(open).toMatchObject({
      origin: header.origin,
      epoch: 1,
      vaultKeys: [],
      accounts: [],
      configuration: header.configuration,
      document: host.open(1),
    });
    expect(hex(open?.leafZeroHash ?? null)).toBe(hex(host.tree.node(0, 0)));
    await expectGoodEnd({ desk, host });
  });

  it('gets private leaves of three kinds, on streams of their own', async () => {
    const played = await started();
    const { desk, host } = played;
    const texts = ['a poll', 'a result', 'an event'].map(utf8);
    const kinds = [KIND.exchangeCall, KIND.result, KIND.audit] as const;
    for (const [at, kind] of kinds.entries()) {
      const before = desk
        .of(DESK_FRAME.appended)
        .map((bytes) => assertAccepted(messages.parseDeskAppended(bytes)).index);
      desk.append({ id: at, kind, plaintext: texts[at] ?? NOTHING, causes: before });
      await desk.until(() => desk.of(DESK_FRAME.appended).length === at + 1);
    }
    const appended = desk
      .of(DESK_FRAME.appended)
      .map((bytes) => assertAccepted(messages.parseDeskAppended(bytes)));
    await host.until(() => host.leaves.length > (appended[2]?.index ?? 0));
    const { exchange, results, audit } = STREAM;
    const places = appended.map(({ index }) => {
      const { stream, label, body, causes } = host.leaf(index);
      return [stream, label, body.form, causes.length];
    });
    expect(places).toEqual([
      [exchange, LABEL.tls, 'private', 0],
      [results, LABEL.enclave, 'private', 1],
      [audit, LABEL.enclave, 'private', 2],
    ]);
    expect(appended.map(({ index }) => host.open(index))).toEqual(texts);
    expect(appended.map(({ hash }) => hash)).toEqual(
      appended.map(({ index }) => host.tree.node(0, index)),
    );
    await desk.until(() => {
      const states = desk
        .of(DESK_FRAME.state)
        .map((bytes) => assertAccepted(messages.parseDeskState(bytes)));
      return (states.at(-1)?.acknowledgedSize ?? 0) > (appended[2]?.index ?? 0);
    });
    await expectGoodEnd(played);
  });

  it.each<[string, (desk: PlayedDesk, host: TestHost) => void]>([
    [
      'a leaf of another kind',
      (desk) => desk.append({ kind: KIND.output as 4, plaintext: utf8('x') }),
    ],
    ['an empty leaf', (desk) => desk.append({ plaintext: NOTHING })],
    [
      'a leaf that is too long',
      (desk) => desk.append({ plaintext: new Uint8Array(MAX_DESK_PLAINTEXT_BYTES + 1) }),
    ],
    [
      'a cause that is not there',
      (desk) => desk.append({ plaintext: utf8('x'), causes: [1_000_000] }),
    ],
    ['its keys again', (desk) => desk.sendKeys()],
    ['OPENED again', (desk) => desk.send(DESK_FRAME.opened)],
    [
      'a nonce of no length',
      (desk) =>
        desk.send(
          DESK_FRAME.attest,
          encodeCbor(
            new Map<number, number | Uint8Array>([
              [1, 1],
              [2, NOTHING],
            ]),
          ),
        ),
    ],
    ['a frame that is not its', (desk) => desk.send(DESK_FRAME.output)],
    [
      'counters of other names',
      (desk) => desk.send(DESK_FRAME.counters, encodeCbor(new Map([[1, [['A b', 1]]]]))),
    ],
    [
      'a counter twice',
      (desk) => {
        const twice = new Map([
          [
            1,
            [
              ['a', 1],
              ['a', 2],
            ],
          ],
        ]);
        desk.send(DESK_FRAME.counters, encodeCbor(twice));
      },
    ],
    ['SPAWN without a name', (desk) => desk.send(DESK_FRAME.spawn)],
    ['SPAWN of another program', (desk) => desk.send(DESK_FRAME.spawn, utf8('strategy'))],
    ['a record of no id', (desk) => desk.send(DESK_FRAME.vault, encodeCbor(new Map([[1, 1]])))],
  ])('that sends %s is ended, and the epoch goes on', async (_, breach) => {
    const played = await started();
    breach(played.desk, played.host);
    expect(await endOf(played)).toBe('desk_malformed');
    await expectGoodEnd(played);
  });

  it('may log as much at once as there is room for in a blob', async () => {
    const played = await started();
    played.desk.append({ plaintext: new Uint8Array(MAX_DESK_PLAINTEXT_BYTES) });
    await played.desk.until(() => played.desk.of(DESK_FRAME.appended).length === 1);
    await played.host.until(() => played.host.blobs.length === 1);
    played.host.enclave.close(CLOSE_REASON.signal);
    expect(await played.host.end).toEqual({ code: null });
  });

  it('that ends says why, or nothing', async () => {
    const saying = await started();
    saying.desk.send(DESK_FRAME.down, utf8('clock_backwards'));
    expect(await endOf(saying)).toBe('clock_backwards');
    const other = await started();
    other.desk.send(DESK_FRAME.down, utf8('because'));
    expect(await endOf(other)).toBe('desk_ended');
    const silent = await started();
    silent.desk.channel?.destroy({ code: 'stream_closed', detail: {} });
    expect(await endOf(silent)).toBe('desk_ended');
    // The log says so, too.
    const [index = -1] = silent.host.leavesOf(KIND.audit);
    expect(assertAccepted(parseAuditEntry(silent.host.open(index)))).toMatchObject({
      event: AUDIT_EVENT.administrative,
      code: 'desk_ended',
      sessionHash: null,
    });
    await expectGoodEnd(silent);
  });

  it.each([
    [
      'desk_ended',
      (desk: PlayedDesk) => desk.channel?.destroy({ code: 'stream_closed', detail: {} }),
    ],
    ['config_invalid', (desk: PlayedDesk) => desk.send(DESK_FRAME.down, utf8('config_invalid'))],
    ['desk_malformed', (desk: PlayedDesk) => desk.append({ plaintext: utf8('too early') })],
  ])('that ends before it is open fails the boot with %s', async (code, end) => {
    const desk = new PlayedDesk();
    desk.answersOpen = false;
    const host = await startHost({ startDesk: desk.start });
    // An append is too early before OPEN only.
    if (code !== 'desk_malformed') await desk.until(() => desk.of(DESK_FRAME.open).length === 1);
    end(desk);
    expect(await host.failed()).toBe(code);
    expect(await host.end).toEqual({ code });
    expect(desk.stopped).toBe(true);
  });

  it('that takes nothing for a while gets it all in order afterwards', async () => {
    const played = await started();
    const { desk, host } = played;
    const { goOn } = desk.stall();
    const chains = chainsOf(16 * MIB - 2 * CHAIN_BYTES);
    for (const chain of chains) host.sendBoot(FRAME.certificate, chain);
    while (host.bootWaitingBytes > 0) await nextTurn();
    expect(desk.of(DESK_FRAME.certificate).length).toBeLessThan(4);
    goOn();
    await desk.until(() => desk.of(DESK_FRAME.certificate).length === chains.length);
    expect(desk.of(DESK_FRAME.certificate).map((chain) => chain[0])).toEqual(
      chains.map((chain) => chain[0]),
    );
    expect(desk.ended).toBe(false);
    await expectGoodEnd(played);
  });

  it('that takes nothing at all is ended before it fills the core’s memory, and the epoch goes on', async () => {
    const played = await started();
    const { desk, host } = played;
    desk.stall();
    for (const chain of chainsOf(18 * MIB)) host.sendBoot(FRAME.certificate, chain);
    const codes = (): readonly string[] => host.diagnostics.map(({ code }) => code);
    await host.until(() => codes().includes('desk_malformed') || host.bootWaitingBytes === 0);
    expect(codes()).toContain('desk_malformed');
    expect(desk.stopped).toBe(true);
    await expectGoodEnd(played);
  });

  it('gets documents of purpose challenge, at most sixteen at once', async () => {
    const nsm = await newNsm();
    let held: (() => void)[] | null = null;
    const nsmDevice = {
      request: async (bytes: Uint8Array): Promise<Uint8Array> => {
        const { promise, resolve } = Promise.withResolvers<null>();
        if (held === null) resolve(null);
        else held.push(() => resolve(null));
        await promise;
        return nsm.request(bytes);
      },
    };
    const played = await started({ nsmDevice });
    const { desk } = played;
    held = [];
    const nonce = new Uint8Array(32).fill(3);
    for (let id = 0; id < 17; id++)
      desk.send(DESK_FRAME.attest, messages.encodeDeskAttest({ id, nonce }));
    await desk.until(() => desk.of(DESK_FRAME.attested).length === 1);
    const [refused] = desk
      .of(DESK_FRAME.attested)
      .map((bytes) => assertAccepted(messages.parseDeskAttested(bytes)));
    expect(refused).toEqual({ id: 16, document: null, code: 'rate_limited' });
    const release = held.splice(0);
    held = null;
    for (const one of release) one();
    await desk.until(() => desk.of(DESK_FRAME.attested).length === 17);
    const documents = desk
      .of(DESK_FRAME.attested)
      .slice(1)
      .map((bytes) => assertAccepted(messages.parseDeskAttested(bytes)).document ?? NOTHING);
    const verified = assertAccepted(
      verifyAttestation(nodeCrypto, documents[15] ?? NOTHING, await testTrust()),
    );
    expect(toHex(verified.document.nonce ?? NOTHING)).toBe(toHex(nonce));
    const userData = assertAccepted(parseUserData(verified.document.userData ?? NOTHING));
    expect(userData.purpose).toBe(PURPOSE.challenge);
    expect(hex(userData.x25519Key)).toBe(hex(desk.keys.x25519.publicKey));
  });

  it('gets the host’s records before OPEN, and has its own carried there', async () => {
    const records = [1, 2].map((byte) => {
      return encodeVaultRecord({
        recordId: new Uint8Array(16).fill(byte),
        bytes: Uint8Array.of(byte),
      });
    });
    const desk = new PlayedDesk();
    const host = await startHost({
      startDesk: desk.start,
      vault: records,
    });
    await host.ready();
    const types = desk.frames.map(({ type }) => type);
    expect(types.slice(0, 2)).toEqual([DESK_FRAME.record, DESK_FRAME.record]);
    expect(desk.of(DESK_FRAME.record)).toEqual(records);
    const write = messages.encodeVaultWrite({
      id: 5,
      recordId: new Uint8Array(16),
      bytes: utf8('sealed'),
    });
    desk.send(DESK_FRAME.vault, write);
    await host.until(() => host.bootFrames.some(({ type }) => type === FRAME.vault));
    expect(host.bootFrames.find(({ type }) => type === FRAME.vault)?.payload).toEqual(write);
    host.sendBoot(FRAME.vaultKept, encodeVaultKept(5));
    host.sendBoot(FRAME.certificate, utf8('a chain'));
    await desk.until(() => desk.of(DESK_FRAME.certificate).length === 1);
    expect(desk.of(DESK_FRAME.keptVault)).toEqual([encodeVaultKept(5)]);
    // After GO no record is brought any more.
    host.sendBoot(FRAME.vault, records[0] ?? NOTHING);
    expect(await host.failed()).toBe('boot_order');
  });

  it('hears of released signals', async () => {
    const strategies = fakeStrategies({ limits: () => [424_242] });
    const played = await started({ strategies });
    const { desk, host } = played;
    await host.connectFeed();
    host.feed?.send(FRAME.batch, testBatch(0, TIME_NS, STREAM_A));
    await desk.until(() => desk.of(DESK_FRAME.output).length === 1);
    const [output] = desk
      .of(DESK_FRAME.output)
      .map((bytes) => assertAccepted(messages.parseDeskOutput(bytes)));
    expect(host.leavesOf(KIND.output)).toEqual([output?.leafIndex]);
    expect(output?.clientOrderId).toMatch(/^ts[0-9a-f]{16}$/u);
    desk.send(DESK_FRAME.spawn, utf8('connector'));
    await desk.until(() => desk.lastSpawned === 'connector');
    desk.send(DESK_FRAME.spawn, utf8('ledger'));
    await desk.until(() => desk.lastSpawned === 'ledger');
    expect(desk.spawned).toBe(2);
    await expectGoodEnd(played);
  });

  it('has its last leaves before the close leaf, and none after DOWN', async () => {
    const played = await started();
    const { desk, host } = played;
    desk.answersShut = false;
    host.enclave.close(CLOSE_REASON.signal);
    await desk.until(() => desk.of(DESK_FRAME.shut).length === 1);
    desk.append({ plaintext: utf8('last words') });
    desk.send(DESK_FRAME.down);
    const late = messages.encodeVaultWrite({ id: 1, recordId: new Uint8Array(16), bytes: null });
    desk.send(DESK_FRAME.vault, late);
    desk.append({ plaintext: utf8('too late') });
    expect(await host.end).toEqual({ code: null });
    expect(host.bootFrames.some(({ type }) => type === FRAME.vault)).toBe(false);
    const audits = host
      .leavesOf(KIND.audit)
      .map((index) => Buffer.from(host.open(index)).toString());
    expect(audits).toEqual(['last words']);
    expect(host.parsedLeaves().at(-1)?.kind).toBe(KIND.close);
  });

  it('that does not finish in time is ended, and the close goes on', async () => {
    const { desk, host } = await started({ timeouts: { deskShutMs: 50 } });
    desk.answersShut = false;
    host.enclave.close(CLOSE_REASON.signal);
    expect(await host.end).toEqual({ code: null });
    expect(desk.stopped).toBe(true);
    expect(host.diagnostics.map(({ code }) => code)).toEqual([
      'ready',
      'closing',
      'desk_ended',
      'closed',
    ]);
    expect(host.parsedLeaves().at(-1)?.kind).toBe(KIND.close);
  });

  it('that dies while it should finish does not keep the epoch from its close leaf', async () => {
    const { desk, host } = await started();
    desk.answersShut = false;
    host.enclave.close(CLOSE_REASON.signal);
    await desk.until(() => desk.of(DESK_FRAME.shut).length === 1);
    desk.channel?.destroy({ code: 'stream_closed', detail: {} });
    expect(await host.end).toEqual({ code: null });
    expect(host.parsedLeaves().at(-1)?.kind).toBe(KIND.close);
  });
});

describe('a stream with a source', () => {
  const streams = [
    { id: 1, name: 'btcusdt' },
    { id: 2, name: 'own', source: { venue: 'binance-spot', host: 'stream.binance.com' } },
  ];

  it('takes batches of the tap alone, with label tls', async () => {
    const [core, tap] = duplexPair();
    const opened: Frame[] = [];
    const channel = new Channel(tap, {
      maxReceiveBytes: messages.MAX_DESK_IN_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [DESK_FRAME.open],
      onFrame: (frame) => {
        opened.push(frame);
      },
      onEnd: () => undefined,
    });
    const played = await started({
      configuration: { streams },
      startTap: () => ({ stream: core, stop: () => Promise.resolve() }),
    });
    const { host } = played;
    const open = assertAccepted(messages.parseDeskOpen(opened[0]?.payload ?? NOTHING));
    expect(toHex(open.configuration)).toBe(toHex(canonicalJson(hostConfiguration({ streams }))));
    await host.connectFeed();
    host.feed?.send(FRAME.batch, testBatch(0, TIME_NS, 2));
    await host.until(() => host.feedOf(FRAME.refused).length === 1);
    channel.send(FRAME.batch, testBatch(0, TIME_NS, 1));
    channel.send(FRAME.batch, testBatch(0, TIME_NS, 2));
    await host.until(() => host.leavesOf(KIND.input).length === 1);
    const [index = -1] = host.leavesOf(KIND.input);
    expect(host.leaf(index)).toMatchObject({ stream: 2, label: LABEL.tls });
    await expectGoodEnd(played);
  });

  it('needs a tap', async () => {
    const host = await startHost({ configuration: { streams } });
    expect(await host.failed()).toBe('tap_ended');
  });
});
