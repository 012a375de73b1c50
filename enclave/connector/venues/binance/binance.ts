// Binance: spot, cross margin, USD-M and COIN-M futures, each an account of its own. Spot and margin show fills per
// symbol only, numbered; futures too, but their income history names every symbol that was traded. Weights are
// Binance's own: ccxt counts in units of its own rate.

import type { Adapter } from '../../adapter.ts';
import { UNKNOWN_PERMISSIONS } from '../../adapter.ts';
import { CallError } from '../../call-error.ts';
import { binance } from '../../ccxt.ts';
import type { BalanceLine } from '../../common.ts';
import { balancesSource, needList } from '../../common.ts';
import type { Cursors } from '../../cursors.ts';
import type { ExchangeOptions } from '../../exchange.ts';
import { closeExchange, openExchange } from '../../exchange.ts';
import { balanceOf, idAt, nameAt, sumOf } from '../../normalise.ts';
import type { Permissions } from '../../protocol.ts';
import type { Raw } from '../../raw.ts';
import { boolAt, decimalAt, listAt, textAt, timeAt } from '../../raw.ts';
import type { Balance } from '../../records.ts';
import type { Run } from '../../run.ts';
import type { MomentSource, Source } from '../../source.ts';
import { changedAssets, pairsOf, symbolsToAsk } from '../../symbols.ts';
import type { Context, Kind } from './context.ts';
import { fillSource, keyOfFills } from './fills.ts';
import { futuresFills, incomeSource, positionSource } from './futures.ts';
import { walletSources } from './wallet.ts';

/** A subtype beside spot would send even the question for the time to the futures' host. */
const DEFAULTS: Readonly<Record<Kind, Readonly<Record<string, string>>>> = {
  spot: { defaultType: 'spot' },
  margin: { defaultType: 'spot' },
  linear: { defaultType: 'swap', defaultSubType: 'linear' },
  inverse: { defaultType: 'delivery', defaultSubType: 'inverse' },
};

export function binanceOptions(kind: Kind): ExchangeOptions<binance> {
  return {
    type: binance,
    options: {
      ...DEFAULTS[kind],
      fetchMarkets: { types: [kind === 'margin' ? 'spot' : kind] },
      recvWindow: 10_000,
    },
    // 6,000 a minute, or 12,000 for the wallet's paths, is 20 units of ccxt's a second; futures are counted as they are.
    weightOf: {
      'api.binance.com': '5',
      'api.binance.com/sapi': '10',
      'testnet.binance.vision': '5',
    },
    // Sets of permissions are most of an answer that is larger than the desk takes.
    ...(kind === 'spot' || kind === 'margin'
      ? { marketsQuery: { showPermissionSets: 'false' } }
      : {}),
    sandbox: 'hosts',
  };
}

export async function openBinance(run: Run, cursors: Cursors, kind: Kind): Promise<Adapter> {
  const exchange = await openExchange(run, binanceOptions(kind));
  const changed = new Set<string>();
  const held = new Set<string>();
  const context: Context = { exchange, run, cursors, kind, changed, held, hasLocked: true };
  const future = kind === 'linear' || kind === 'inverse';
  return {
    check: () => check(context),
    phases: future
      ? [
          () =>
            Promise.resolve([
              balanceSource(context),
              positionSource(context),
              incomeSource(context),
            ]),
          () => Promise.resolve(futuresFills(context)),
        ]
      : [
          () => Promise.resolve([balanceSource(context), ...walletSources(context)]),
          () => spotFills(context),
        ],
    close: () => {
      closeExchange(exchange);
    },
  };
}

async function check({ exchange, run, kind }: Context): Promise<Permissions> {
  const account = await readAccount({ exchange, kind });
  const accountId = idAt(account, 'uid');
  if (run.job.settings.environment === 'sandbox') {
    return { ...UNKNOWN_PERMISSIONS, read: true, accountId };
  }
  const key: unknown = await exchange.sapiGetAccountApiRestrictions();
  const trade = [
    'enableSpotAndMarginTrading',
    'enableFutures',
    'enableMargin',
    'enableVanillaOptions',
    'enablePortfolioMarginTrading',
    'enableFixApiTrade',
  ].map((name) => boolAt(key, name));
  return {
    read: boolAt(key, 'enableReading'),
    trade: trade.includes(true) ? true : trade[0] === null ? null : false,
    withdraw: boolAt(key, 'enableWithdrawals'),
    transfer: either(
      boolAt(key, 'enableInternalTransfer'),
      boolAt(key, 'permitsUniversalTransfer'),
    ),
    ipRestricted: boolAt(key, 'ipRestrict'),
    subAccount: null,
    expiresMs: timeAt(key, 'tradingAuthorityExpirationTime'),
    accountId,
  };
}

function either(one: boolean | null, other: boolean | null): boolean | null {
  if (one === true || other === true) return true;
  return one === null || other === null ? null : false;
}

function readAccount({ exchange, kind }: Pick<Context, 'exchange' | 'kind'>): Promise<unknown> {
  if (kind === 'linear') return exchange.fapiPrivateV3GetAccount();
  if (kind === 'inverse') return exchange.dapiPrivateGetAccount();
  return kind === 'margin' ? exchange.sapiGetMarginAccount() : exchange.privateGetAccount();
}

function spotBalance(wallet: Kind, raw: Raw): BalanceLine {
  const free = decimalAt(raw, 'free');
  const locked = decimalAt(raw, 'locked');
  if (free === null || locked === null) return 'malformed';
  // What is owed counts against it.
  const total = wallet === 'margin' ? decimalAt(raw, 'netAsset') : sumOf(free, locked);
  return balanceOf(wallet, nameAt(raw, 'asset'), total, free);
}

/** The wallet alone: what open positions are worth is theirs to say. */
function futuresBalance(raw: Raw): BalanceLine {
  const total = decimalAt(raw, 'walletBalance');
  return balanceOf('futures', nameAt(raw, 'asset'), total, decimalAt(raw, 'availableBalance'));
}

const LISTS: Readonly<Record<Kind, string>> = {
  spot: 'balances',
  margin: 'userAssets',
  linear: 'assets',
  inverse: 'assets',
};

function isLocked(raw: Raw): boolean {
  return /[1-9]/u.test(decimalAt(raw, 'locked') ?? '1');
}

function balanceSource(context: Context): MomentSource {
  const { kind, cursors } = context;
  const isSpot = kind === 'spot' || kind === 'margin';
  return balancesSource(kind, async () => {
    const raws = needList(await readAccount(context), LISTS[kind]);
    const lines = raws.map((raw) => (isSpot ? spotBalance(kind, raw) : futuresBalance(raw)));
    const records = lines.filter((line): line is Balance => line !== null && line !== 'malformed');
    // A line that is missing would pass for a change.
    if (isSpot && !lines.includes('malformed')) {
      context.changed = changedAssets(cursors, records);
      context.held = new Set(records.map(({ currency }) => currency));
      context.hasLocked = kind === 'margin' || raws.some(isLocked);
    }
    return lines;
  });
}

async function spotFills(context: Context): Promise<readonly Source[]> {
  const { exchange, run, cursors, kind, changed, held } = context;
  const open = await openOrderSymbols(context);
  const symbols = symbolsToAsk(
    exchange,
    cursors,
    keyOfFills,
    run.job.settings.symbols,
    cursors.symbols,
    open,
    pairsOf(exchange, changed, held),
  );
  return [
    ...symbols.map((symbol) => fillSource(context, symbol)),
    { type: 'missing', what: 'fills', market: kind, reason: 'symbols_unknown' },
  ];
}

/**
 * One call; a hint only, so that its failure costs nothing. It is the dearest of them all (80 of 6,000 a minute), and an
 * order that is open has locked what it may cost.
 */
async function openOrderSymbols({
  exchange,
  kind,
  hasLocked,
}: Context): Promise<readonly string[]> {
  if (!hasLocked) return [];
  try {
    const orders: unknown = await (kind === 'margin'
      ? exchange.sapiGetMarginOpenOrders()
      : exchange.privateGetOpenOrders());
    return listAt({ orders }, 'orders').map((order) =>
      exchange.safeSymbol(textAt(order, 'symbol') ?? undefined, undefined, undefined, 'spot'),
    );
  } catch (error) {
    if (error instanceof CallError) return [];
    throw error;
  }
}
