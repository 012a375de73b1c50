// What an account holds at Binance: spot, margin, both futures wallets, funding; and open positions.

import { absolute, divide, formatAmount, multiply, parseAmount } from '../../amount.ts';
import type { Amount } from '../../amount.ts';
import { lockedOf } from '../../open-orders.ts';
import { profitOf } from '../../operations.ts';
import type { Position } from '../../world.ts';
import { eight } from './context.ts';
import type { Signed } from './context.ts';
import { marketOf } from './context.ts';
import { notionalOf } from './markets.ts';

type Futures = 'linear' | 'inverse';

function coinsOf(context: Signed, segment: 'spot' | Futures): readonly string[] {
  const markets = context.venue.marketsOf(segment);
  const coins = markets.flatMap(({ base, quote, settle }) =>
    settle === null ? [base, quote] : [settle],
  );
  return [...new Set(coins)];
}

export function spotAccount(context: Signed): object {
  const { account, call, key, world } = context;
  const held = world.ledger.balances(account.id, 'spot');
  const omitsZero = call.parameters.get('omitZeroBalances') === 'true';
  const coins = [...new Set([...coinsOf(context, 'spot'), ...held.keys()])];
  const locked = lockedOf(account, 'spot');
  const balances = coins
    .filter((asset) => !omitsZero || (held.get(asset) ?? 0n) !== 0n)
    .map((asset) => {
      const set = locked.get(asset) ?? 0n;
      return { asset, free: eight((held.get(asset) ?? 0n) - set), locked: eight(set) };
    });
  return {
    makerCommission: 10,
    takerCommission: 10,
    buyerCommission: 0,
    sellerCommission: 0,
    commissionRates: {
      maker: '0.00100000',
      taker: '0.00100000',
      buyer: '0.00000000',
      seller: '0.00000000',
    },
    canTrade: key.permissions.has('trade'),
    canWithdraw: key.permissions.has('withdraw'),
    canDeposit: true,
    brokered: false,
    requireSelfTradePrevention: false,
    preventSor: false,
    updateTime: account.fills.at(-1)?.timeMs ?? 0,
    accountType: 'SPOT',
    balances,
    permissions: ['SPOT'],
    uid: Number(account.uid),
  };
}

/** What is below zero there is borrowed. */
export function marginAccount(context: Signed): object {
  const { account, world, venue } = context;
  const held = world.ledger.balances(account.id, 'margin');
  const bitcoin = venue.prices.get('BTC/USDT') ?? parseAmount('1');
  let assets = 0n;
  let debts = 0n;
  for (const [asset, amount] of held) {
    const price = asset === 'USDT' ? parseAmount('1') : (venue.prices.get(`${asset}/USDT`) ?? 0n);
    const worth = divide(multiply(absolute(amount), price), bitcoin);
    if (amount < 0n) debts += worth;
    else assets += worth;
  }
  const userAssets = [...new Set([...coinsOf(context, 'spot'), ...held.keys()])].map((asset) => {
    const amount = held.get(asset) ?? 0n;
    return {
      asset,
      borrowed: eight(amount < 0n ? -amount : 0n),
      free: eight(amount > 0n ? amount : 0n),
      interest: '0.00000000',
      locked: '0.00000000',
      netAsset: eight(amount),
    };
  });
  return {
    created: true,
    borrowEnabled: true,
    marginLevel: debts === 0n ? '999.00000000' : eight(divide(assets, debts)),
    totalAssetOfBtc: eight(assets),
    totalLiabilityOfBtc: eight(debts),
    totalNetAssetOfBtc: eight(assets - debts),
    tradeEnabled: true,
    transferInEnabled: true,
    transferOutEnabled: true,
    accountType: 'MARGIN_1',
    userAssets,
  };
}

export function fundingAssets(context: Signed): readonly object[] {
  const { account, world } = context;
  const held = [...world.ledger.balances(account.id, 'funding')];
  const asked = context.call.parameters.get('asset');
  return held
    .filter(([asset, amount]) => amount !== 0n && (asked === null || asked === asset))
    .map(([asset, amount]) => ({
      asset,
      free: eight(amount),
      locked: '0',
      freeze: '0',
      withdrawing: '0',
      btcValuation: '0',
    }));
}

function positionsOf({ account }: Signed, segment: Futures): readonly Position[] {
  return [...account.positions.values()].filter(({ market }) => market.segment === segment);
}

function unrealizedOf(context: Signed, position: Position): Amount {
  return profitOf(position, position.contracts, context.venue.price(position.market));
}

function accountPosition(context: Signed, position: Position): object {
  const { market, contracts, entry } = position;
  const isInverse = market.segment === 'inverse';
  const notional = notionalOf(market, contracts, context.venue.price(market));
  return {
    symbol: market.id,
    positionSide: 'BOTH',
    positionAmt: formatAmount(contracts),
    entryPrice: formatAmount(entry),
    unrealizedProfit: eight(unrealizedOf(context, position)),
    isolated: false,
    isolatedMargin: '0',
    isolatedWallet: '0',
    leverage: '20',
    [isInverse ? 'notionalValue' : 'notional']: notional,
    initialMargin: '0',
    maintMargin: '0',
    positionInitialMargin: '0',
    openOrderInitialMargin: '0',
    updateTime: context.account.fills.at(-1)?.timeMs ?? 0,
  };
}

interface FuturesAsset {
  readonly asset: string;
  readonly wallet: Amount;
  readonly unrealized: Amount;
}

function futuresAssets(context: Signed, segment: Futures): readonly FuturesAsset[] {
  const { account, world } = context;
  const held = world.ledger.balances(account.id, segment);
  const coins = [...new Set([...coinsOf(context, segment), ...held.keys()])];
  return coins.map((asset) => {
    const positions = positionsOf(context, segment).filter(({ market }) => market.settle === asset);
    const unrealized = positions.reduce((sum, one) => sum + unrealizedOf(context, one), 0n);
    return { asset, wallet: held.get(asset) ?? 0n, unrealized };
  });
}

export function futuresAccount(context: Signed, segment: Futures): object {
  const assets = futuresAssets(context, segment);
  const nowMs = context.call.nowMs;
  const dollars = assets.filter(({ asset }) => asset === 'USDT');
  const wallet = dollars.reduce((sum, one) => sum + one.wallet, 0n);
  const unrealized = dollars.reduce((sum, one) => sum + one.unrealized, 0n);
  const totals =
    segment === 'inverse'
      ? {}
      : {
          totalInitialMargin: '0.00000000',
          totalMaintMargin: '0.00000000',
          totalWalletBalance: eight(wallet),
          totalUnrealizedProfit: eight(unrealized),
          totalMarginBalance: eight(wallet + unrealized),
          totalPositionInitialMargin: '0.00000000',
          totalOpenOrderInitialMargin: '0.00000000',
          totalCrossWalletBalance: eight(wallet),
          totalCrossUnPnl: eight(unrealized),
          availableBalance: eight(wallet + unrealized),
          maxWithdrawAmount: eight(wallet),
        };
  return {
    feeTier: 0,
    canTrade: true,
    canDeposit: true,
    canWithdraw: true,
    updateTime: 0,
    ...totals,
    assets: assets.map((one) => ({
      asset: one.asset,
      walletBalance: eight(one.wallet),
      unrealizedProfit: eight(one.unrealized),
      marginBalance: eight(one.wallet + one.unrealized),
      maintMargin: '0.00000000',
      initialMargin: '0.00000000',
      positionInitialMargin: '0.00000000',
      openOrderInitialMargin: '0.00000000',
      crossWalletBalance: eight(one.wallet),
      crossUnPnl: eight(one.unrealized),
      availableBalance: eight(one.wallet + one.unrealized),
      maxWithdrawAmount: eight(one.wallet),
      updateTime: nowMs,
    })),
    positions: positionsOf(context, segment)
      .filter(({ contracts }) => contracts !== 0n)
      .map((position) => accountPosition(context, position)),
  };
}

export function futuresBalance(context: Signed, segment: Futures): readonly object[] {
  return futuresAssets(context, segment).map((one) => ({
    accountAlias: 'SgsR',
    asset: one.asset,
    balance: eight(one.wallet),
    crossWalletBalance: eight(one.wallet),
    crossUnPnl: eight(one.unrealized),
    availableBalance: eight(one.wallet + one.unrealized),
    maxWithdrawAmount: eight(one.wallet),
    marginAvailable: true,
    updateTime: context.call.nowMs,
  }));
}

/** v3 tells open positions only; v1 and v2 tell all symbols, or the one that was asked for. */
export function positionRisk(context: Signed, segment: Futures, isV3: boolean): readonly object[] {
  const id = context.call.parameters.get('symbol');
  const markets = id === null ? context.venue.marketsOf(segment) : [marketOf(context, segment, id)];
  const all = markets.map((market): Position => {
    const kept = context.account.positions.get(market.symbol);
    return kept ?? { market, wallet: segment, contracts: 0n, entry: 0n };
  });
  const shown = isV3 ? all.filter(({ contracts }) => contracts !== 0n) : all;
  return shown.map((position) => {
    const { market, contracts, entry } = position;
    const price = context.venue.price(market);
    const isInverse = market.segment === 'inverse';
    return {
      symbol: market.id,
      positionSide: 'BOTH',
      positionAmt: formatAmount(contracts),
      entryPrice: formatAmount(entry),
      breakEvenPrice: formatAmount(entry),
      markPrice: eight(price),
      unRealizedProfit: eight(unrealizedOf(context, position)),
      liquidationPrice: '0',
      isolatedMargin: '0',
      [isInverse ? 'notionalValue' : 'notional']: notionalOf(market, contracts, price),
      marginAsset: market.settle,
      isolatedWallet: '0',
      initialMargin: '0',
      maintMargin: '0',
      positionInitialMargin: '0',
      openOrderInitialMargin: '0',
      adl: 1,
      leverage: isV3 ? undefined : '20',
      marginType: isV3 ? undefined : 'cross',
      isAutoAddMargin: isV3 ? undefined : 'false',
      updateTime: context.account.fills.at(-1)?.timeMs ?? 0,
    };
  });
}
