import { createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { OpenLedgerParts } from '../../../enclave/ledger/ledger.ts';
import type { LedgerServices, PriceAnswer, TakenPoll } from '../../../enclave/ledger/services.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import { KIND } from '../../../wire/leaf.ts';
import { accept, assertAccepted, refuse } from '../../../wire/result.ts';
import { HOUR_DOMAIN, trackSignedBytes } from '../../../wire/track/signing.ts';
import { parseTrackLeaf } from '../../../wire/track/statement.ts';
import type { LedgerScene, LedgerSceneOptions } from '../../helpers/ledger-scene.ts';
import { ledgerScene } from '../../helpers/ledger-scene.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const KEY = new Uint8Array(32).fill(9);

interface Listening {
  readonly polls: TakenPoll[];
  takes: boolean;
  readonly openParts: OpenLedgerParts;
}

/** Keeps what it hears; takes polls while `takes`. */
function listening(): Listening {
  const heard: Listening = {
    polls: [],
    takes: true,
    openParts: (services) => {
      services.onPoll((poll) => {
        heard.polls.push(poll);
        if (heard.takes) services.takePoll(poll.id, poll.poll, true);
      });
      return Promise.resolve([]);
    },
  };
  return heard;
}

interface Opened {
  readonly scene: LedgerScene;
  readonly id: string;
  /** As the exchange knows it. */
  readonly account: string;
}

/** A trader with three fills, polled once. */
async function opened(options: LedgerSceneOptions): Promise<Opened> {
  const scene = await ledgerScene(options);
  const { control } = scene.exchange;
  const answer = control.account({ venue: 'binance' });
  const { account } = answer;
  control.deposit({ account, currency: 'USDT', amount: '100000' });
  for (let fill = 0; fill < 3; fill++) {
    const timeMs = scene.time.nowMs() - HOUR_MS + fill;
    control.trade({
      account,
      symbol: 'BTC/USDT',
      side: 'buy',
      amount: '0.01',
      price: '60000',
      timeMs,
    });
  }
  const added = scene.account(answer, 'binance');
  scene.polling.add(added, null);
  await scene.untilPolls(1);
  return { scene, id: added.id, account };
}

function last(scene: LedgerScene): LedgerServices {
  const services = scene.services.at(-1);
  if (services === undefined) throw new Error('no ledger was started');
  return services;
}

function ofKind(poll: TakenPoll | undefined, kind: string): number {
  return (poll?.records ?? []).filter((record) => record.kind === kind).length;
}

/** As much of an hour statement as the desk looks at. */
function statement(
  origin: string,
  commitment: Uint8Array,
  domain = HOUR_DOMAIN,
  counter = 1,
): Uint8Array {
  return encodeCbor(
    new Map<number, string | number | Uint8Array>([
      [1, domain],
      [2, origin],
      [3, commitment],
      [6, counter],
    ]),
  );
}

async function ready(): Promise<
  Opened & { readonly commitment: Uint8Array; readonly origin: string }
> {
  const one = await opened({});
  await one.scene.until(() => one.scene.services[0]?.accounts.size === 1);
  const { accounts, origin } = last(one.scene);
  return { ...one, origin, commitment: accounts.get(one.id)?.commitment ?? new Uint8Array() };
}

const spawnNone = (): Promise<never> => Promise.reject(new Error('no process'));

describe('desk and ledger', () => {
  it('tell all that a poll brought, whole, with its leaf, after it', async () => {
    const heard = listening();
    const { scene, id } = await opened({ openParts: heard.openParts });
    await scene.until(() => heard.polls.length === 1);
    const [poll] = heard.polls;
    expect(ofKind(poll, 'fill')).toBe(3);
    expect(ofKind(poll, 'flow')).toBe(1);
    expect(ofKind(poll, 'balance')).toBeGreaterThan(0);
    expect(poll).toMatchObject({ id, poll: 1, leafIndex: 0, outcome: 'complete', reason: null });
    expect(poll?.coverage.some(({ what, complete }) => what === 'fills' && complete)).toBe(true);
    expect(poll?.hosts.map(({ host }) => host)).toContain('api.binance.com');
    expect(poll?.account).toMatchObject({ id, venue: 'binance', environment: 'live' });
    await scene.until(() => scene.ledger.counters['ledger_polls_kept'] === 0);
  });

  it('a ledger that dies is started again, and hears what it had not taken; nothing else twice', async () => {
    const heard = listening();
    const { scene } = await opened({ openParts: heard.openParts });
    await scene.until(
      () => scene.ledger.counters['ledger_polls_kept'] === 0 && heard.polls.length === 1,
    );
    heard.takes = false;
    await scene.until(() => heard.polls.length === 2, 10_000);
    scene.kill();
    await scene.until(() => heard.polls.length === 3, 500);
    expect(heard.polls.map(({ poll }) => poll)).toEqual([1, 2, 2]);
    expect(heard.polls[2]?.records).toEqual(heard.polls[1]?.records);
    expect(last(scene).accounts.size).toBe(1);
    expect(scene.services).toHaveLength(2);
    const audits = scene.leaves.filter(({ kind }) => kind === KIND.audit);
    expect(audits.map(({ plaintext }) => Buffer.from(plaintext).toString())).toEqual([
      '{"event":"administrative","code":"ledger_ended"}',
    ]);
  });

  it('a ledger that cannot be started is in the audit trail, with pauses between the attempts', async () => {
    const { scene } = await opened({
      openParts: () => Promise.resolve([]),
      spawnLedger: spawnNone,
    });
    const failed = (): number => scene.ledger.counters['ledger_failed'] ?? 0;
    const before = scene.time.nowMs();
    await scene.until(() => failed() === 4, 10_000);
    // 1, 2 and 4 seconds.
    expect(scene.time.nowMs() - before).toBeLessThan(60_000);
    const audits = scene.leaves.filter(({ kind }) => kind === KIND.audit);
    expect(audits.map(({ plaintext }) => Buffer.from(plaintext).toString())).toEqual(
      Array(4).fill('{"event":"administrative","code":"ledger_unavailable"}'),
    );
  });

  it('what waits for a ledger that does not come is bounded, and the account is read anew', async () => {
    const heard = listening();
    heard.takes = false;
    const { scene } = await opened({ openParts: heard.openParts, maxKeptBytes: 1000 });
    expect(scene.ledger.counters['ledger_dropped']).toBe(1);
    expect(scene.ledger.counters['ledger_bytes_kept']).toBe(0);
    const before = scene.exchange.control.requests.length;
    await scene.untilPolls(2, 10_000);
    const asked = scene.exchange.control.requests.slice(before).map(({ path }) => path);
    expect(asked.some((path) => path.includes('myTrades'))).toBe(true);
  });

  it('a store that is behind has the account read from empty cursors, once an hour', async () => {
    const heard = listening();
    const { scene, id } = await opened({ openParts: heard.openParts });
    await scene.until(() => heard.polls.length === 1);
    await scene.until(() => heard.polls.length === 2, 10_000);
    expect(ofKind(heard.polls[1], 'fill')).toBe(0);
    last(scene).resync({ id, fromMs: scene.time.nowMs() - 2 * HOUR_MS, heardMs: null });
    await scene.until(() => heard.polls.length === 3, 10_000);
    expect(ofKind(heard.polls[2], 'fill')).toBe(3);
    last(scene).resync({ id, fromMs: 0, heardMs: null });
    await scene.until(() => heard.polls.length === 4, 10_000);
    expect(ofKind(heard.polls[3], 'fill')).toBe(0);
    expect(scene.ledger.counters['ledger_resyncs']).toBe(1);
    // What it asked for within the hour is not forgotten.
    await scene.until(() => scene.ledger.counters['ledger_resyncs'] === 2, MINUTE_MS);
    const before = heard.polls.length;
    await scene.until(() => heard.polls.length === before + 2, MINUTE_MS);
    expect(heard.polls.slice(before).some((poll) => ofKind(poll, 'fill') === 3)).toBe(true);
  });

  it('a store that is behind is healed even where a poll is under way', async () => {
    const heard = listening();
    const { scene, id } = await opened({ openParts: heard.openParts });
    await scene.until(() => heard.polls.length === 1);
    const asked = scene.exchange.control.requests.length;
    const begun = (): boolean => scene.exchange.control.requests.length > asked;
    await scene.until(begun, 10_000);
    expect(heard.polls).toHaveLength(1);
    last(scene).resync({ id, fromMs: scene.time.nowMs() - 2 * HOUR_MS, heardMs: null });
    await scene.until(() => scene.ledger.counters['ledger_resyncs'] === 1);
    expect(heard.polls).toHaveLength(1);
    await scene.until(() => heard.polls.length === 3, 10_000);
    expect(ofKind(heard.polls[2], 'fill')).toBe(3);
  });

  it('asks for prices through the desk', async () => {
    const { scene } = await opened({});
    await scene.until(() => scene.services.length === 1);
    const atMs = Math.floor(scene.time.nowMs() / HOUR_MS - 4) * HOUR_MS;
    const answers: PriceAnswer[] = [];
    void last(scene)
      .needPrices({
        venue: 'binance',
        environment: 'live',
        items: [
          { kind: 'spot', symbol: 'BTC/USDT', fromMs: atMs, toMs: atMs + HOUR_MS, stepMs: HOUR_MS },
        ],
      })
      .then((answer) => answers.push(answer));
    await scene.until(() => answers.length === 1);
    const told = [...(answers[0]?.rows ?? []), ...(answers[0]?.missing ?? [])];
    expect(new Set(told.map(({ symbol }) => symbol))).toEqual(new Set(['BTC/USDT']));
    expect(scene.exchange.control.requests.some(({ path }) => path.includes('klines'))).toBe(true);
  });

  it('answers questions of HTTPS, and says when it cannot', async () => {
    const { scene, id } = await opened({
      openParts: (services) => {
        services.onAsk(({ operation, account, arguments: args }) =>
          Promise.resolve(
            operation === 'echo' ? accept(utf8(`${account} ${toHex(args)}`)) : refuse('not_found'),
          ),
        );
        return Promise.resolve([]);
      },
    });
    await scene.until(() => scene.ledger.counters['ledger_running'] === 1);
    expect(await scene.ledger.ask('echo', id, Uint8Array.of(7))).toEqual(accept(utf8(`${id} 07`)));
    expect(await scene.ledger.ask('other', id, new Uint8Array(0))).toEqual(refuse('not_found'));
    const waits = scene.ledger.ask('echo', id, new Uint8Array(0));
    scene.kill();
    expect(await waits).toEqual(refuse('ledger_unavailable'));
    expect(await scene.ledger.ask('echo', id, new Uint8Array(0))).toEqual(
      refuse('ledger_unavailable'),
    );
  });

  it('finishes what it has when the desk closes', async () => {
    let closed = 0;
    const { scene } = await opened({
      openParts: () =>
        Promise.resolve([
          {
            counters: {},
            close: () => {
              closed++;
              return Promise.resolve();
            },
          },
        ]),
    });
    await scene.until(() => scene.ledger.counters['ledger_running'] === 1);
    await scene.polling.close();
    await scene.ledger.close();
    expect(closed).toBe(1);
    expect(scene.ended).toEqual([null]);
    await scene.time.run(10 * MINUTE_MS);
    expect(scene.services).toHaveLength(1);
  });

  it('derives keys of storage from each version of the data key of the vault', async () => {
    const { scene } = await opened({
      vaultKeys: new Map([
        [1, KEY],
        [2, KEY.map((byte) => byte + 1)],
      ]),
    });
    await scene.until(() => scene.services.length === 1);
    const { storageKeys } = last(scene);
    expect([...storageKeys.keys()]).toEqual([1, 2]);
    expect(new Set([...storageKeys.values(), KEY].map(toHex)).size).toBe(3);
  });
});

describe('what the desk signs for a ledger', () => {
  it('one leaf for all, a signature over its place for each, after it is acknowledged', async () => {
    const { scene, origin, commitment } = await ready();
    const statements = [
      statement(origin, commitment),
      statement(origin, commitment, 'trackseal/snapshot/v1', 2),
    ];
    scene.hold(true);
    let told = false;
    const asked = last(scene).sign(statements);
    void asked.then(() => {
      told = true;
    });
    await scene.until(() => scene.leaves.some(({ kind }) => kind === KIND.result));
    await scene.time.run(MINUTE_MS);
    expect(told).toBe(false);
    scene.hold(false);
    const { leafIndex, leafSalt, signatures } = assertAccepted(await asked);
    const leaf = scene.leaves[leafIndex];
    expect(leaf?.kind).toBe(KIND.result);
    expect(leaf?.salt).toEqual(leafSalt);
    expect(assertAccepted(parseTrackLeaf(leaf?.plaintext ?? new Uint8Array()))).toEqual(statements);
    const der = Buffer.concat([
      Buffer.from('302a300506032b6570032100', 'hex'),
      last(scene).ed25519,
    ]);
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    const domains = [HOUR_DOMAIN, 'trackseal/snapshot/v1'];
    const verified = signatures.map((signature, at) =>
      [0, 1].map((position) =>
        verify(
          null,
          trackSignedBytes(
            domains[at] ?? '',
            leafIndex,
            position,
            statements[at] ?? new Uint8Array(),
          ),
          key,
          signature,
        ),
      ),
    );
    expect(verified).toEqual([
      [true, false],
      [false, true],
    ]);
  });

  it('a place of a chain twice in an epoch, and the audit trail says so', async () => {
    const { scene, origin, commitment } = await ready();
    const sign = async (...counters: readonly number[]): Promise<void> => {
      const made = counters.map((counter) => statement(origin, commitment, HOUR_DOMAIN, counter));
      assertAccepted(await last(scene).sign(made));
    };
    const forks = (): number =>
      scene.leaves.filter(
        ({ kind, plaintext }) =>
          kind === KIND.audit && Buffer.from(plaintext).toString().includes('"chain_fork"'),
      ).length;
    await sign(1, 2);
    await sign(3);
    expect(forks()).toBe(0);
    await sign(3);
    expect(forks()).toBe(1);
    await sign(4);
    expect(forks()).toBe(1);
    await sign(1, 2);
    expect(forks()).toBe(2);
    expect(scene.ended).toEqual([]);
  });

  it('refuses for an account that is gone, and the ledger lives', async () => {
    const { scene, origin, commitment, id } = await ready();
    scene.polling.remove(id);
    expect(await last(scene).sign([statement(origin, commitment)])).toEqual(
      refuse('session_unknown'),
    );
    expect(scene.ended).toEqual([]);
  });

  it.each([
    [
      'of another domain',
      (one: { origin: string; commitment: Uint8Array }) =>
        statement(one.origin, one.commitment, 'trackseal/result/v1'),
    ],
    [
      'of another origin',
      (one) => statement('trackseal.example/other/e0000000001', one.commitment),
    ],
    ['of an account that never was', (one) => statement(one.origin, new Uint8Array(32))],
    ['that is no map', () => Uint8Array.of(0x01)],
  ] as readonly [string, (one: { origin: string; commitment: Uint8Array }) => Uint8Array][])(
    'a statement %s ends the ledger and signs nothing',
    async (_, make) => {
      const one = await ready();
      const { scene } = one;
      void last(scene).sign([statement(one.origin, one.commitment), make(one)]);
      await scene.until(() => scene.ended.length === 1);
      expect(scene.leaves.filter(({ kind }) => kind === KIND.result)).toEqual([]);
      const audit = scene.leaves.find(({ kind }) => kind === KIND.audit);
      expect(Buffer.from(audit?.plaintext ?? []).toString()).toContain('ledger_malformed');
      // Another one comes.
      await scene.until(() => scene.services.length === 2, 500);
    },
  );
});
