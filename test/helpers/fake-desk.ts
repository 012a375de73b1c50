// What the desk's parts are given, without a core or a host: a log whose leaves are sealed as real ones are, an
// acknowledgement that a test can hold back, a vault that survives a "restart", and an exchange that answers what a
// test says. Everything that would leave the enclave is kept, for tests that look for secrets in it.

import { randomBytes } from 'node:crypto';
import type { Account, AccountFigures, Permissions, Polling } from '../../enclave/desk/accounts.ts';
import type { DeskKeys } from '../../enclave/desk/keys.ts';
import { generateDeskKeys } from '../../enclave/desk/keys.ts';
import type { DeskLeaf, DeskServices } from '../../enclave/desk/services.ts';
import { createGuard } from '../../enclave/fatal.ts';
import type { AuditEntry } from '../../wire/audit.ts';
import { auditEventName, parseAuditEntry } from '../../wire/parse-audit.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import type { DeskKind, DeskSecret } from '../../wire/desk-messages.ts';
import { originOf } from '../../wire/header.ts';
import { KIND, LABEL, sealLeaf, STREAM } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, assertAccepted } from '../../wire/result.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import { noLedger } from './desk.ts';

export const START_MS: number = Date.UTC(2026, 10, 21, 12);
const LOG_ID = 'trackseal.test/desk';
const STREAMS: Readonly<Record<DeskKind, number>> = {
  [KIND.exchangeCall]: STREAM.exchange,
  [KIND.result]: STREAM.results,
  [KIND.audit]: STREAM.audit,
};

export const FULL_PERMISSIONS: Permissions = {
  read: true,
  trade: false,
  withdraw: false,
  transfer: false,
  ipRestricted: null,
  subAccount: null,
  expiresMs: null,
  accountId: 'venue-account-7',
};

export const NO_FIGURES: AccountFigures = {
  observedSinceNs: BigInt(START_MS) * 1_000_000n,
  asOfNs: null,
  periodStartNs: BigInt(START_MS) * 1_000_000n,
  hosts: [],
  polls: { scheduled: 0, complete: 0, partial: 0, failed: 0, missed: 0 },
  coverage: [],
  gaps: [],
  trades: 0,
  volume: {},
  fees: {},
  funding: {},
  deposits: {},
  withdrawals: {},
  balances: null,
  positions: null,
  unrealized: null,
  matched: null,
  unmatched: null,
  hours: [],
};

export function someFigures(minutes = 10): AccountFigures {
  const asOfNs = BigInt(START_MS + minutes * 60_000) * 1_000_000n;
  return {
    ...NO_FIGURES,
    asOfNs,
    hosts: [{ host: 'api.kraken.com', spki_sha256: 'ab'.repeat(32) }],
    polls: { scheduled: 3, complete: 1, partial: 1, failed: 1, missed: 0 },
    coverage: [
      { what: 'fills', market: 'spot', from_ms: 1, to_ms: 2, complete: true, reason: null },
      { what: 'funding', market: null, from_ms: 1, to_ms: 2, complete: false, reason: 'network' },
    ],
    gaps: [{ from_ms: START_MS, to_ms: START_MS + 60_000, reason: 'network' }],
    trades: 2,
    volume: { EUR: '1000.00000001', USDT: '12.5' },
    fees: { BNB: '0.01' },
    deposits: { EUR: '500' },
    balances: { BTC: '0.5' },
    positions: 0,
    hours: [{ start_ms: START_MS, trades: 2, volume: { EUR: '1000' }, fees: {}, complete: false }],
  };
}

/** An exchange that a test speaks for. */
export class FakePolling implements Polling {
  readonly added: Map<string, { readonly account: Account; readonly restored: Uint8Array | null }> =
    new Map();
  readonly removed: string[] = [];
  readonly counters: Readonly<Record<string, number>> = {};
  checked: Account[] = [];
  used: (account: Account) => void = () => undefined;
  answer: (account: Account) => Promise<Result<Permissions>> = () =>
    Promise.resolve(accept(FULL_PERMISSIONS));
  figuresOf: (id: string) => AccountFigures | null = () => someFigures();
  #listener: (id: string, state: Uint8Array) => void = () => undefined;

  check(account: Account): Promise<Result<Permissions>> {
    this.checked.push(account);
    this.used(account);
    return this.answer(account);
  }

  add(account: Account, restored: Uint8Array | null): void {
    this.added.set(account.id, { account, restored });
  }

  remove(id: string): void {
    this.added.delete(id);
    this.removed.push(id);
  }

  figures(id: string): AccountFigures | null {
    return this.added.has(id) ? this.figuresOf(id) : null;
  }

  onState(listener: (id: string, state: Uint8Array) => void): void {
    this.#listener = listener;
  }

  state(id: string, state: Uint8Array): void {
    this.#listener(id, state);
  }
}

export interface FakeDeskOptions {
  readonly configuration?: Partial<Configuration>;
  /** What the host kept of the epoch before. */
  readonly records?: ReadonlyMap<string, Uint8Array>;
  readonly vaultKeys?: ReadonlyMap<number, Uint8Array>;
  readonly sealedAccounts?: readonly DeskSecret[];
  readonly epoch?: number;
  readonly keys?: DeskKeys;
  readonly nowMs?: number;
}

export interface FakeLeaf {
  readonly kind: DeskKind;
  readonly plaintext: Uint8Array;
  readonly salt: Uint8Array;
  /** As the host sees it. */
  readonly bytes: Uint8Array;
}

export class FakeDesk {
  readonly services: DeskServices;
  readonly leaves: FakeLeaf[] = [];
  /** The host's copy. */
  readonly records: Map<string, Uint8Array>;
  /** All that was ever handed to the host for keeping. */
  readonly written: Uint8Array[] = [];
  readonly fatal: string[] = [];
  nowMs: number;
  /** While true nothing is acknowledged. */
  hold = false;
  holdVault = false;
  ready = true;
  stalled = false;
  attested: Result<Uint8Array> = accept(new Uint8Array([0xa0]));
  readonly #waiting: (() => void)[] = [];
  readonly #vaultWaiting: (() => void)[] = [];

  constructor(options: FakeDeskOptions = {}) {
    this.nowMs = options.nowMs ?? START_MS;
    this.records = new Map(options.records);
    const guard = createGuard((code) => this.fatal.push(code));
    const epoch = options.epoch ?? 1;
    this.services = {
      origin: originOf(LOG_ID, epoch),
      epoch,
      configuration: {
        log_id: LOG_ID,
        limits: { clock_divergence_ms: 1, attestations_per_second: 1000 },
        desk: { polling_ms: 300_000, max_sessions: 10, sandbox: true },
        ...options.configuration,
      } as Configuration,
      configurationBytes: utf8('{}\n'),
      clientCa: null,
      databasePassword: null,
      guard,
      keys: options.keys ?? generateDeskKeys(),
      leafZeroHash: nodeCrypto.sha256(Uint8Array.of(epoch)),
      bootDocument: new Uint8Array([0xd0]),
      sealedAccounts: options.sealedAccounts ?? [],
      nowNs: () => BigInt(this.nowMs) * 1_000_000n,
      nowMs: () => this.nowMs,
      append: (kind, plaintext) => Promise.resolve(this.#append(kind, plaintext)),
      acknowledged: () =>
        this.hold
          ? new Promise((resolve) => {
              this.#waiting.push(resolve);
            })
          : Promise.resolve(),
      acknowledgedSize: () => this.leaves.length,
      attest: () => Promise.resolve(this.attested),
      // Nothing of the desk's API goes out.
      egress: null as never,
      vault: {
        records: this.records,
        put: async (id, bytes) => {
          if (this.holdVault) {
            await new Promise<void>((resolve) => {
              this.#vaultWaiting.push(resolve);
            });
          }
          if (bytes === null) this.records.delete(toHex(id));
          else {
            this.records.set(toHex(id), bytes);
            this.written.push(bytes);
          }
        },
      },
      vaultKeys: options.vaultKeys ?? new Map(),
      spawnConnector: () => Promise.reject(new Error('no connectors here')),
      spawnLedger: noLedger,
      dialDatabase: () => Promise.reject(new Error('no database here')),
      onState: () => undefined,
      isReady: () => this.ready,
      logStalled: () => this.stalled,
      onOutput: () => undefined,
      onCertificate: () => undefined,
    };
  }

  /** Writes that wait for `release`. */
  get heldWrites(): number {
    return this.#vaultWaiting.length;
  }

  release(): void {
    this.hold = false;
    this.holdVault = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
    for (const resolve of this.#vaultWaiting.splice(0)) resolve();
  }

  get audit(): readonly AuditEntry[] {
    return this.leaves
      .filter(({ kind }) => kind === KIND.audit)
      .map(({ plaintext }) => assertAccepted(parseAuditEntry(plaintext)));
  }

  /** Names of the events so far. */
  get events(): readonly string[] {
    return this.audit.map(({ event }) => auditEventName(event));
  }

  #append(kind: DeskKind, plaintext: Uint8Array): DeskLeaf {
    const salt = new Uint8Array(randomBytes(16));
    const key = new Uint8Array(randomBytes(32));
    const header = {
      kind,
      timeNs: this.services.nowNs(),
      stream: STREAMS[kind],
      label: kind === KIND.exchangeCall ? LABEL.tls : LABEL.enclave,
      sequence: this.leaves.length,
      causes: [],
    };
    const { bytes } = sealLeaf(nodeCrypto, header, salt, plaintext, key);
    this.leaves.push({ kind, plaintext: plaintext.slice(), salt, bytes });
    return { index: this.leaves.length - 1, salt, hash: leafHash(nodeCrypto, bytes) };
  }
}
