// What it costs the ledger to load a year of an account at its start: rows of a database that answers at once, as text, checked
// and chained. The server, TLS and the client library are not in it.

import { StatementMaker } from '../../enclave/ledger/track/statements.ts';
import type { LedgerAccount } from '../../enclave/ledger/protocol.ts';
import type { Sql, SqlValue } from '../../enclave/ledger/store/database.ts';
import { PostgresStore, trackAccountOf } from '../../enclave/ledger/store/postgres-store.ts';
import { Row } from '../../enclave/ledger/store/row.ts';
import { accept, assertAccepted } from '../../wire/result.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { ChainCheck } from '../../wire/track/chain.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import { HOUR_MS } from '../../wire/track/figures.ts';
import { median } from '../quantiles.ts';
import { START_MS } from './account-year.ts';

const ORIGIN = 'trackseal.example/bench/e0000000001';
const UNIT = 10n ** 18n;
const HOURS_OF_A_ROUND = 240;
const POLL_MS = 300_000;
const POLLS = 12;
const ACCOUNT: LedgerAccount = {
  id: '00112233445566778899aabbccddeeff',
  commitment: new Uint8Array(32).fill(9),
  userHash: new Uint8Array(32).fill(7),
  venue: 'kraken',
  label: 'main',
  accountType: 'spot',
  environment: 'live',
  createdMs: START_MS,
  head: null,
};

function figuresAt(startMs: number): HourFigures {
  const amount = 26_012n * UNIT + UNIT / 2n;
  const market = { market: 'spot', trades: 3, volume: amount, fees: UNIT, funding: null } as const;
  return {
    startMs,
    equityStart: amount,
    equityEnd: amount,
    unrealisedEnd: -3n * UNIT,
    inflow: 0n,
    outflow: 0n,
    flows: [],
    realised: 20n * UNIT,
    realisedAverage: 19n * UNIT,
    unrealisedChange: -5n * UNIT,
    funding: -1n,
    fees: UNIT,
    income: 1n,
    residual: 0n,
    tolerance: UNIT / 100n,
    status: 'reconciled',
    trades: 3,
    volume: amount,
    byMarket: [
      {
        ...market,
        realised: 20n * UNIT,
        equity: amount,
        outlay: 0n,
        income: 1n,
        unrealised: -3n * UNIT,
      },
    ],
    prices: [{ source: 'api.kraken.com/0/public/OHLC', rows: 4, oldestAgeMs: 60_000 }],
    pricesDigest: new Uint8Array(32).fill(5),
    polls: POLLS,
    complete: true,
    gaps: [],
    rebuilt: false,
  };
}

function textOf(value: SqlValue): string | null {
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  return value === null ? null : String(value);
}

/** The tables that loading reads all of, in memory; a text for each value, as the protocol has it. */
class Tables implements Sql {
  readonly #chain: ReadonlyMap<string, string | null>[] = [];
  #account: readonly (string | null)[] | null = null;
  #head: readonly (string | null)[] | null = null;

  query(text: string, values: readonly SqlValue[]): Promise<readonly Row[]> {
    const [, into, columns = ''] = /INSERT INTO trackseal\.(\w+)\s+\(([^)]*)\)/u.exec(text) ?? [];
    if (into === 'chain') {
      const names = columns.split(', ');
      this.#chain.push(new Map(names.map((name, at) => [name, textOf(values[at] ?? null)])));
    }
    if (into === 'accounts') this.#account = values.slice(1).map(textOf);
    if (into === 'chain_heads') this.#head = values.slice(1).map(textOf);
    if (text.includes('FROM trackseal.accounts')) {
      return Promise.resolve(this.#account === null ? [] : [new Row(this.#account)]);
    }
    if (text.includes('FROM trackseal.chain_heads')) {
      return Promise.resolve(this.#head === null ? [] : [new Row(this.#head)]);
    }
    const [, list] = /SELECT (.*) FROM trackseal\.chain c/u.exec(text) ?? [];
    if (list === undefined) return Promise.resolve([]);
    const after = Number(values[1]);
    const names = list.split(', ').map((name) => name.slice(2));
    const rows = this.#chain.slice(after, after + 200);
    // Bytes of the wire become texts for each answer.
    return Promise.resolve(
      rows.map((row) => new Row(names.map((name) => copyOf(row.get(name) ?? null)))),
    );
  }
}

function copyOf(text: string | null): string | null {
  return text === null ? null : Buffer.from(text, 'latin1').toString('latin1');
}

function storeOver(tables: Tables): PostgresStore {
  return new PostgresStore({
    database: {
      run: async (work) => accept(await work(tables)),
      counters: { database_connections: 0, database_failures: 0, database_statements: 0 },
      close: () => undefined,
    },
    storageKeys: new Map([[1, new Uint8Array(32).fill(1)]]),
    origin: ORIGIN,
  });
}

type StatementPolls = Parameters<StatementMaker['hour']>[1]['polls'];

function pollsOf(startMs: number): StatementPolls {
  return Array.from({ length: POLLS }, (_, at) => {
    const startedMs = startMs + at * POLL_MS;
    return { origin: ORIGIN, leafIndex: startedMs / POLL_MS, startedMs, outcome: 0 };
  });
}
async function fill(tables: Tables, hours: number): Promise<void> {
  const store = storeOver(tables);
  const account = trackAccountOf(ACCOUNT);
  const chain = new ChainCheck(nodeCrypto, account);
  for (let from = 0; from < hours; from += HOURS_OF_A_ROUND) {
    const maker = new StatementMaker(account, ORIGIN, chain.head);
    for (let at = from; at < Math.min(hours, from + HOURS_OF_A_ROUND); at++) {
      const startMs = START_MS + at * HOUR_MS;
      maker.hour(figuresAt(startMs), { polls: pollsOf(startMs), late: 0 }, [], null);
    }
    const [signature, leafSalt] = [new Uint8Array(64), new Uint8Array(16)];
    const rows = maker.made.map(({ bytes, parsed }, position) => ({
      statement: bytes,
      signature,
      origin: ORIGIN,
      leafIndex: from,
      leafSalt,
      position,
      parsed,
    }));
    assertAccepted(await store.append(ACCOUNT, { chain, rows, statedRecords: 0, state: null }));
    for (const { statement, parsed } of rows) assertAccepted(chain.add(statement, parsed));
  }
}

/** Processor time of one load, ms: the median of `turns`, behind as many that warm up. */
export async function measureLoading(hours: number, turns: number): Promise<number> {
  const tables = new Tables();
  await fill(tables, hours);
  const times: number[] = [];
  for (let turn = 0; turn < 2 * turns; turn++) {
    const before = process.threadCpuUsage();
    const loaded = assertAccepted(await storeOver(tables).load(ACCOUNT));
    const { user, system } = process.threadCpuUsage(before);
    if (loaded.chain.head.counter !== hours) throw new Error('not all of the year');
    if (turn >= turns) times.push((user + system) / 1000);
  }
  return median(times);
}
