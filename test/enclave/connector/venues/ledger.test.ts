import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AccountType, Venue } from '../../../../enclave/connector/classes.ts';
import type { Job } from '../../../../enclave/connector/job.ts';
import type { AccountAnswer } from '../../../../simulator/exchange/control.ts';
import type { VenueName } from '../../../../simulator/exchange/markets.ts';
import type { RunningExchange } from '../../../../simulator/exchange/server.ts';
import { startExchange } from '../../../../simulator/exchange/server.ts';
import {
  addDecimals,
  assertDecimal,
  formatDecimal,
  multiplyDecimals,
} from '../../../../wire/decimal.ts';
import type { Outcome } from '../../../helpers/connector-desk.ts';
import { jobOf, runJob } from '../../../helpers/connector-desk.ts';
import { credentialsOf, simulatedInternet } from '../../../helpers/simulated-venues.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Case {
  readonly venue: Venue;
  readonly simulated: VenueName;
  readonly accountType: AccountType;
  readonly cash: string;
  readonly spot: string | null;
  readonly swap: string | null;
  /** Where the simulator keeps what this connector sees. */
  readonly wallet: string;
  /** What a withdrawal costs, where the venue tells it apart. */
  readonly fee: string;
  /** Money comes and goes between the venue's own wallets, and fees are lines of their own. */
  readonly isInner?: boolean;
  /** It tells nothing of deposits and withdrawals. */
  readonly isUnseen?: boolean;
}

const CASES: readonly Case[] = [
  {
    venue: 'bybit',
    simulated: 'bybit',
    accountType: 'spot',
    cash: 'USDT',
    spot: 'BTC/USDT',
    swap: 'BTC/USDT:USDT',
    wallet: 'trading',
    fee: '1',
  },
  {
    venue: 'kraken',
    simulated: 'kraken',
    accountType: 'spot',
    cash: 'USD',
    spot: 'BTC/USD',
    swap: null,
    wallet: 'spot',
    fee: '1',
  },
  {
    venue: 'krakenfutures',
    simulated: 'krakenfutures',
    accountType: 'futures',
    cash: 'USD',
    spot: null,
    swap: 'BTC/USD:USD',
    wallet: 'linear',
    fee: '0',
    isInner: true,
  },
  {
    venue: 'coinbase',
    simulated: 'coinbase',
    accountType: 'spot',
    cash: 'USD',
    spot: 'BTC/USD',
    swap: null,
    wallet: 'spot',
    fee: '0',
  },
  {
    venue: 'okx',
    simulated: 'okx',
    accountType: 'spot',
    cash: 'USDT',
    spot: 'BTC/USDT',
    swap: 'BTC/USDT:USDT',
    wallet: 'trading',
    fee: '1',
  },
  {
    venue: 'mexc',
    simulated: 'mexc',
    accountType: 'spot',
    cash: 'USDT',
    spot: 'BTC/USDT',
    swap: null,
    wallet: 'spot',
    fee: '1',
  },
  {
    venue: 'mexc',
    simulated: 'mexc',
    accountType: 'futures',
    cash: 'USDT',
    spot: null,
    swap: 'BTC/USDT:USDT',
    wallet: 'linear',
    fee: '0',
    isUnseen: true,
  },
  {
    venue: 'bitget',
    simulated: 'bitget',
    accountType: 'spot',
    cash: 'USDT',
    spot: 'BTC/USDT',
    swap: null,
    wallet: 'spot',
    fee: '1',
  },
  {
    venue: 'bitget',
    simulated: 'bitget',
    accountType: 'futures',
    cash: 'USDT',
    spot: null,
    swap: 'BTC/USDT:USDT',
    wallet: 'linear',
    fee: '0',
    isUnseen: true,
  },
  {
    venue: 'alpaca',
    simulated: 'alpaca',
    accountType: 'spot',
    cash: 'USD',
    spot: 'AAPL/USD',
    swap: null,
    wallet: 'spot',
    fee: '0',
  },
  {
    venue: 'ibkr',
    simulated: 'ibkr',
    accountType: 'spot',
    cash: 'USD',
    spot: 'AAPL/USD',
    swap: null,
    wallet: 'spot',
    fee: '0',
  },
];

/** Said of the venue at each poll, whatever happened. */
const DECLARED: ReadonlySet<string> = new Set(['venue_lacks', 'not_supported', 'symbols_unknown']);

let exchange: RunningExchange;
let nowMs = Date.now() - 40 * DAY_MS;

beforeAll(async () => {
  exchange = await startExchange({ clock: () => nowMs });
});

afterAll(() => exchange.close());

function poll(
  { venue, accountType }: Case,
  account: AccountAnswer,
  change: Partial<Job>,
): Promise<Outcome> {
  const settings = {
    accountType,
    environment: 'live',
    label: 'main',
    allowTrading: false,
    symbols: [],
  } as const;
  const credentials = credentialsOf(account);
  const job = jobOf(venue, { settings, credentials, nowMs, ...change });
  return runJob(job, simulatedInternet(exchange));
}

function sums(pairs: readonly (readonly [string, string])[]): Readonly<Record<string, string>> {
  const groups = Map.groupBy(pairs, ([currency]) => currency);
  const added = [...groups].map(([currency, all]) => {
    const total = all.reduce(
      (sum, [, amount]) => addDecimals(sum, assertDecimal(amount)),
      assertDecimal('0'),
    );
    return [currency, formatDecimal(total)] as const;
  });
  return Object.fromEntries(added.filter(([, total]) => total !== '0'));
}

function product(...texts: readonly string[]): string {
  const one = assertDecimal('1');
  return formatDecimal(
    texts.reduce((all, text) => multiplyDecimals(all, assertDecimal(text)), one),
  );
}

/** In the words of the ledger. */
function told(outcomes: readonly Outcome[], isInner: boolean): object {
  const records = outcomes.flatMap((outcome) => outcome.records);
  const fills = records.filter((record) => record.kind === 'fill');
  const flows = records.filter((record) => record.kind === 'flow');
  const funding = records.filter((record) => record.kind === 'funding');
  const ofType = (type: string): Readonly<Record<string, string>> =>
    sums(
      flows.filter((flow) => flow.type === type).map(({ currency, amount }) => [currency, amount]),
    );
  return {
    fills: fills.length,
    volume: sums(
      fills.map(({ quote, settle, inverse, cost, price, amount, contractSize }) => [
        (inverse === true ? settle : quote) ?? '',
        cost ?? product(price, amount, contractSize ?? '1'),
      ]),
    ),
    positions: sums(
      fills
        .filter(({ settle }) => settle !== null)
        .map(({ symbol, side, amount }) => [symbol, side === 'buy' ? amount : `-${amount}`]),
    ),
    fees: isInner
      ? ofType('fee')
      : sums(
          fills.flatMap(({ fees }) =>
            (fees ?? []).map(({ currency, amount }) => [currency, amount] as const),
          ),
        ),
    funding: sums(funding.map(({ currency, amount }) => [currency, amount])),
    deposits: ofType(isInner ? 'transfer_in' : 'deposit'),
    withdrawals: ofType(isInner ? 'transfer_out' : 'withdrawal'),
  };
}

describe.each(CASES)('$venue, $accountType', (one) => {
  it('tells what the ledger holds, once, over two polls with a day between', async () => {
    const { control } = exchange;
    const { simulated, cash, spot, swap, wallet, fee } = one;
    control.limits({ venue: simulated, scale: 100 });
    nowMs += DAY_MS;
    const fromMs = nowMs - DAY_MS;
    const account = control.account({ venue: simulated });
    const of = { account: account.account };
    const act = (): void => {
      nowMs += HOUR_MS;
      control.deposit({ ...of, currency: cash, amount: '1000000.25', wallet });
      nowMs += 1;
      if (spot !== null) {
        control.trade({ ...of, symbol: spot, side: 'buy', price: '650.01', amount: '0.5' });
        control.trade({ ...of, symbol: spot, side: 'sell', price: '660.03', amount: '0.25' });
      }
      if (swap !== null) {
        control.trade({ ...of, symbol: swap, side: 'sell', price: '65000', amount: '2' });
        control.trade({ ...of, symbol: swap, side: 'buy', price: '64000', amount: '1' });
        control.funding({ ...of, symbol: swap, amount: '-0.25' });
        control.price({ venue: simulated, symbol: swap, price: '65000' });
      }
      nowMs += HOUR_MS;
      control.withdraw({ ...of, currency: cash, amount: '10.5', fee, wallet });
      nowMs += HOUR_MS;
    };
    act();
    const first = await poll(one, account, { fromMs });
    act();
    nowMs += DAY_MS;
    const { cursors } = first.done;
    const second = await poll(one, account, { fromMs, cursors });

    const bad = second.done.coverage.filter(
      ({ complete, reason }) => !complete && !DECLARED.has(reason ?? ''),
    );
    expect(bad).toEqual([]);
    const ledger = control.ledger(of);
    const { fills, volume, fees, funding, deposits, withdrawals } = ledger;
    expect(told([first, second], one.isInner === true)).toEqual({
      fills,
      positions: ledger.positions,
      volume,
      fees,
      funding,
      deposits: one.isUnseen === true ? {} : deposits,
      withdrawals: one.isUnseen === true ? {} : withdrawals,
    });
    // Shares are positions at a broker (Flex puts the account before), and coins balances at an exchange.
    const held = second.records.flatMap((record): readonly (readonly [string, string])[] => {
      if (record.kind === 'balance') return [[record.currency, record.total]];
      const isShare = record.kind === 'position' && record.market === 'stock';
      return isShare ? [[record.symbol.replace(/^U\d+:/u, ''), record.contracts]] : [];
    });
    expect(sums(held)).toEqual(ledger.balances[wallet]);
  });
});

describe('kraken, whose newest come first', () => {
  it('catches up with more than one job may ask for', { timeout: 120_000 }, async () => {
    const { control } = exchange;
    const kraken = CASES.find(({ venue }) => venue === 'kraken');
    if (kraken === undefined) throw new Error('no such case');
    control.limits({ venue: 'kraken', scale: 1000 });
    nowMs += 8 * DAY_MS;
    const account = control.account({ venue: 'kraken' });
    const of = { account: account.account, symbol: 'BTC/USD' };
    const fills = 900;
    const fromMs = nowMs - 7 * DAY_MS;
    control.deposit({ ...of, currency: 'USD', amount: '1000000', timeMs: fromMs + 1 });
    for (let fill = 0; fill < fills; fill++) {
      const timeMs = fromMs + 1000 + Math.floor((fill * 6.9 * DAY_MS) / fills);
      control.trade({ ...of, side: 'buy', price: '650.01', amount: '0.001', timeMs });
    }
    let cursors: Job['cursors'] = null;
    const counted = new Set<string>();
    let jobs = 0;
    while (counted.size < fills && jobs < 40) {
      const budget = { calls: 14, retries: 0, deadlineMs: 60_000 };
      const outcome = await poll(kraken, account, { fromMs, cursors, budget });
      for (const record of outcome.records) if (record.kind === 'fill') counted.add(record.id);
      ({ cursors } = outcome.done);
      nowMs += 300_000;
      jobs++;
    }
    expect(counted.size).toBe(fills);
  });
});
