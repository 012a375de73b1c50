// The desk as the ledger sees it, with a clock, a key, salts and prices that are the same in every run: what it signs can be
// compared byte by byte. It keeps polls until they are taken, tells them to the next ledger, and is the same desk for all.

import { createPrivateKey, sign } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { AccountState } from '../../enclave/desk/account-state.ts';
import { createGuard } from '../../enclave/fatal.ts';
import type { LedgerAccount, LedgerAudit, LedgerMissed } from '../../enclave/ledger/protocol.ts';
import type { LedgerServices, PriceAnswer, TakenPoll } from '../../enclave/ledger/services.ts';
import { HISTORY_MS } from '../../enclave/ledger/track/account-parts.ts';
import { booksOf } from '../../enclave/ledger/track/books.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { accept } from '../../wire/result.ts';
import { encodeTrackLeaf, trackDomainOf, trackSignedBytes } from '../../wire/track/statement.ts';
import { PUBLIC_KEY } from '../vectors/track.ts';
import { LEDGER_ACCOUNT, STORAGE_KEYS, STORE_ORIGIN } from './track-store.ts';

const SEED = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';
const KEY = createPrivateKey({
  key: Buffer.from(`302e020100300506032b657004220420${SEED}`, 'hex'),
  format: 'der',
  type: 'pkcs8',
});

/** Books whose digests are the same in every run. */
export const BOOKS: ReturnType<typeof booksOf> = booksOf(
  new Map([[1, new Uint8Array(32)]]),
  (userHash) => userHash,
);

/** One ledger process: what ends it ends nothing else. */
interface Life {
  readonly polls: ((poll: TakenPoll) => void)[];
  readonly missed: ((missed: LedgerMissed) => void)[];
  alive: boolean;
}

export class TrackDesk {
  readonly account: LedgerAccount;
  readonly leaves: Uint8Array[] = [];
  readonly audits: LedgerAudit[] = [];
  readonly resyncs: number[] = [];
  /** What the desk itself knows: cursors, and from where on it reads without them. */
  readonly state: AccountState;
  readonly fatal: string[] = [];
  readonly asked: string[] = [];
  nowMs: number;
  acceptLoss = false;
  ready = true;
  /** How far ledgers have said that the chain is stored. */
  head: LedgerAccount['head'] = null;
  readonly #removed: ((account: LedgerAccount) => void)[] = [];
  /** Prices that cannot be had. */
  readonly lacking: Set<string> = new Set();
  /** Of all prices, from now on: a source may say something else of the same time later. */
  moreUsd = 0;
  #life: Life | null = null;
  #nextPoll = 1;
  /** Told and not taken. */
  readonly untaken: TakenPoll[] = [];

  constructor(nowMs: number, account: LedgerAccount = LEDGER_ACCOUNT) {
    this.nowMs = nowMs;
    this.account = { ...account, createdMs: nowMs };
    this.state = new AccountState(nowMs, nowMs - HISTORY_MS);
  }

  /** For a ledger that starts now; the one before has ended. */
  services(openDatabase: () => Duplex = noDatabase): LedgerServices {
    if (this.#life !== null) this.#life.alive = false;
    const life: Life = { polls: [], missed: [], alive: true };
    this.#life = life;
    const account = { ...this.account, head: this.head };
    return {
      origin: STORE_ORIGIN,
      epoch: 7,
      configuration: {
        desk: { polling_ms: 300_000 },
        database: { accept_loss: this.acceptLoss },
      } as unknown as Configuration,
      guard: createGuard((code) => {
        if (life.alive) this.fatal.push(code);
      }),
      leafZeroHash: new Uint8Array(32),
      ed25519: Buffer.from(PUBLIC_KEY, 'hex'),
      storageKeys: STORAGE_KEYS,
      databasePassword: null,
      userHash: (user) => nodeCrypto.sha256(Buffer.from(user)),
      referenceKey: (userHash) => nodeCrypto.sha256(userHash),
      nowNs: () => BigInt(this.nowMs) * 1_000_000n,
      nowMs: () => this.nowMs,
      isReady: () => this.ready && life.alive,
      logStalled: () => false,
      acknowledgedSize: () => this.leaves.length,
      accounts: new Map([[account.id, account]]),
      onAccount: (listener) => {
        listener(account);
      },
      onRemoved: (listener) => {
        this.#removed.splice(0, Infinity, listener);
      },
      onPoll: (listener) => {
        life.polls.push(listener);
        for (const poll of this.untaken) listener(poll);
      },
      onMissed: (listener) => {
        life.missed.push(listener);
      },
      takePoll: (_, poll) => {
        const at = this.untaken.findIndex((one) => one.poll === poll);
        if (life.alive && at >= 0) this.untaken.splice(at, 1);
      },
      stated: (_, head) => {
        // What an older ledger says late is no news.
        if (life.alive && head.counter > (this.head?.counter ?? 0)) this.head = head;
      },
      resync: ({ fromMs, heardMs }) => {
        this.resyncs.push(fromMs);
        this.state.resync({ fromMs, isHeard: this.state.isHeard(heardMs) });
      },
      needPrices: ({ items }) => {
        const rows: PriceAnswer['rows'][number][] = [];
        const missing: PriceAnswer['missing'][number][] = [];
        for (const { kind, symbol, fromMs, toMs, stepMs } of items) {
          this.asked.push(symbol);
          if (this.lacking.has(symbol) || symbol !== 'BTC/USD') {
            missing.push({ symbol, reason: 'not_supported' });
            continue;
          }
          const first = Math.ceil(fromMs / stepMs) * stepMs;
          for (let atMs = first; atMs <= toMs; atMs += stepMs) {
            const price = String(60_000 + this.moreUsd + ((atMs / 60_000) % 500));
            const source = 'api.kraken.com/0/public/OHLC';
            rows.push({ kind, symbol, atMs, price, source, tradedMs: atMs });
          }
        }
        return Promise.resolve({ rows, missing });
      },
      sign: (statements) => {
        const leafIndex = 100 + this.leaves.length;
        this.leaves.push(encodeTrackLeaf(statements));
        const leafSalt = new Uint8Array(16).fill(leafIndex % 251);
        const signatures = statements.map((statement, position) => {
          const domain = trackDomainOf(statement) ?? '';
          return new Uint8Array(
            sign(null, trackSignedBytes(domain, leafIndex, position, statement), KEY),
          );
        });
        return Promise.resolve(accept({ leafIndex, leafSalt, signatures }));
      },
      audit: (entry) => {
        this.audits.push(entry);
      },
      openDatabase,
      onGrpcConnection: () => undefined,
      onAsk: () => undefined,
    };
  }

  /** The next poll goes on from where the one that ends now came to. */
  goesOn(cursors: Uint8Array | null): void {
    this.state.cursors = cursors;
    this.state.again = null;
    this.state.asOfMs = this.nowMs + 2000;
  }

  poll(told: Pick<TakenPoll, 'records'> & Partial<TakenPoll>): void {
    const slotMs = this.nowMs;
    const poll: TakenPoll = {
      id: this.account.id,
      account: this.account,
      poll: this.#nextPoll++,
      leafIndex: this.#nextPoll + 1000,
      slotMs,
      startedMs: slotMs + 1000,
      endedMs: slotMs + 2000,
      outcome: 'complete',
      reason: null,
      coverage: [
        {
          what: 'balances',
          market: 'all',
          fromMs: slotMs,
          toMs: slotMs,
          complete: true,
          reason: null,
        },
      ],
      hosts: [],
      sinceMs: null,
      ...told,
    };
    this.untaken.push(poll);
    this.tell(poll);
  }

  tell(poll: TakenPoll): void {
    for (const listener of this.#life?.polls ?? []) listener(poll);
  }

  remove(): void {
    for (const listener of this.#removed) listener(this.account);
  }

  missed(fromMs: number, toMs: number, reason: string): void {
    for (const listener of this.#life?.missed ?? []) {
      listener({ id: this.account.id, fromMs, toMs, reason });
    }
  }
}

function noDatabase(): Duplex {
  throw new Error('no database');
}
