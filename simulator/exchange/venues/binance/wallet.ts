// Money in and out at Binance (sapi): deposits, withdrawals, transfers between wallets and sub-accounts, margin
// interest, dividends, what a key may do.

import { formatAmount } from '../../amount.ts';
import { hashOf } from '../../world.ts';
import type { Account, Flow } from '../../world.ts';
import { DAY_MS, eight, integer, limitOf, mandatory, spanOf, within } from './context.ts';
import type { Signed, SpanRule } from './context.ts';
import { binanceRefusal, illegalParameter } from './refusals.ts';

const CAPITAL_SPAN: SpanRule = {
  maximumMs: 90 * DAY_MS,
  defaultMs: 90 * DAY_MS,
  refuse: () => binanceRefusal(400, -4047, 'Exceeded the maximum query interval of 90 days.'),
};

const MONTH_SPAN: SpanRule = {
  maximumMs: 30 * DAY_MS,
  defaultMs: 7 * DAY_MS,
  refuse: () => binanceRefusal(400, -1127, 'The query time period must be less than 30 days.'),
};

const NAMES: Readonly<Record<string, string>> = {
  spot: 'MAIN',
  linear: 'UMFUTURE',
  inverse: 'CMFUTURE',
  margin: 'MARGIN',
  funding: 'FUNDING',
};

function nameOf(wallet: string | null): string {
  return NAMES[wallet ?? ''] ?? 'MAIN';
}

function clock(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ');
}

function capital(context: Signed, type: 'deposit' | 'withdrawal'): readonly Flow[] {
  const { parameters } = context.call;
  const coin = parameters.get('coin');
  const limit = limitOf(context, 'limit', 1000, 1000);
  const offset = integer(context, 'offset') ?? 0;
  const flows = context.account.flows.filter(
    (flow) => flow.type === type && (coin === null || flow.currency === coin),
  );
  const found = within(flows, spanOf(context, CAPITAL_SPAN)).toReversed();
  return found.slice(offset, offset + limit);
}

/** The newest first. */
export function deposits(context: Signed): readonly object[] {
  const status = { pending: 0, ok: 1, failed: 2 } as const;
  const wanted = integer(context, 'status');
  const records = capital(context, 'deposit').map((flow) => ({
    id: String(flow.number),
    amount: formatAmount(flow.amount),
    coin: flow.currency,
    network: flow.network,
    status: status[flow.status],
    address: `0x${hashOf('address', context.account.uid).slice(0, 40)}`,
    addressTag: '',
    txId: flow.transaction,
    insertTime: flow.timeMs,
    completeTime: flow.timeMs,
    transferType: 0,
    confirmTimes: '1/1',
    unlockConfirm: 0,
    walletType: flow.toWallet === 'funding' ? 1 : 0,
  }));
  return wanted === null ? records : records.filter((record) => record.status === wanted);
}

export function withdrawals(context: Signed): readonly object[] {
  const status = { pending: 4, ok: 6, failed: 3 } as const;
  const wanted = integer(context, 'status');
  const records = capital(context, 'withdrawal').map((flow) => ({
    id: hashOf('withdrawal', flow.number).slice(0, 32),
    amount: formatAmount(flow.amount),
    transactionFee: formatAmount(flow.fee),
    coin: flow.currency,
    status: status[flow.status],
    address: `0x${hashOf('destination', flow.number).slice(0, 40)}`,
    txId: flow.transaction,
    applyTime: clock(flow.timeMs),
    network: flow.network,
    transferType: 0,
    info: '',
    confirmNo: 1,
    walletType: flow.fromWallet === 'funding' ? 1 : 0,
    completeTime: clock(flow.timeMs),
  }));
  return wanted === null ? records : records.filter((record) => record.status === wanted);
}

/** Between wallets of the account. `type` names both and must be given: `MAIN_UMFUTURE`. */
export function transfers(context: Signed): object {
  const type = mandatory(context, 'type');
  const size = limitOf(context, 'size', 10, 100);
  const current = integer(context, 'current') ?? 1;
  const names = Object.values(NAMES);
  const [from = '', to = ''] = type.split('_');
  if (!names.includes(from) || !names.includes(to)) throw illegalParameter('type');
  const startMs = integer(context, 'startTime') ?? context.call.nowMs - 7 * DAY_MS;
  const span = {
    startMs: Math.max(startMs, context.call.nowMs - 183 * DAY_MS),
    endMs: integer(context, 'endTime') ?? context.call.nowMs,
  };
  const own = context.account.flows.filter(
    (flow) => flow.type === 'transfer' && flow.otherAccount === null,
  );
  const found = within(own, span)
    .filter((flow) => nameOf(flow.fromWallet) === from && nameOf(flow.toWallet) === to)
    .toReversed();
  return {
    total: found.length,
    rows: found.slice((current - 1) * size, current * size).map((flow) => ({
      asset: flow.currency,
      amount: formatAmount(flow.amount),
      type,
      status: 'CONFIRMED',
      tranId: flow.number,
      timestamp: flow.timeMs,
    })),
  };
}

function emailOf(account: Account): string {
  return `${account.id}@example.com`;
}

export function subAccounts(context: Signed): object {
  const children = context.world.childrenOf(context.account);
  const limit = limitOf(context, 'limit', 1, 200);
  const page = integer(context, 'page') ?? 1;
  return {
    subAccounts: children.slice((page - 1) * limit, page * limit).map((child) => ({
      subUserId: Number(child.uid),
      email: emailOf(child),
      remark: '',
      isFreeze: false,
      createTime: child.keys[0]?.createdMs ?? 0,
      isManagedSubAccount: false,
      isAssetManagementSubAccount: false,
    })),
  };
}

function between(context: Signed): readonly Flow[] {
  const flows = context.account.flows.filter(
    (flow) => flow.type === 'transfer' && flow.otherAccount !== null,
  );
  return within(flows, spanOf(context, MONTH_SPAN)).toReversed();
}

/** Of a main account with its sub-accounts. */
export function universalTransfers(context: Signed): object {
  const { account, world } = context;
  const limit = limitOf(context, 'limit', 500, 500);
  const page = integer(context, 'page') ?? 1;
  const found = between(context);
  return {
    result: found.slice((page - 1) * limit, page * limit).map((flow) => {
      const other = world.account(flow.otherAccount ?? account.id);
      const isOut = isSentBy(account, flow, context);
      return {
        tranId: flow.number,
        fromEmail: emailOf(isOut ? account : other),
        toEmail: emailOf(isOut ? other : account),
        asset: flow.currency,
        amount: formatAmount(flow.amount),
        createTimeStamp: flow.timeMs,
        fromAccountType: nameOf(flow.fromWallet).replace('MAIN', 'SPOT'),
        toAccountType: nameOf(flow.toWallet).replace('MAIN', 'SPOT'),
        status: 'SUCCESS',
        clientTranId: '',
      };
    }),
    totalCount: found.length,
  };
}

/** The ledger knows whose balance went down. */
function isSentBy(account: Account, flow: Flow, { world }: Signed): boolean {
  const row = world.ledger
    .rows(account.id)
    .find(({ kind, reference }) => kind === 'transfer' && reference === flow.number);
  return row !== undefined && row.amount < 0n;
}

/** Of a sub-account: 1 in, 2 out. */
export function subUserHistory(context: Signed): readonly object[] {
  const { account } = context;
  const limit = limitOf(context, 'limit', 500, 500);
  return between(context)
    .slice(0, limit)
    .map((flow) => ({
      counterParty: 'master',
      email: emailOf(account),
      type: isSentBy(account, flow, context) ? 2 : 1,
      asset: flow.currency,
      qty: formatAmount(flow.amount),
      fromAccountType: nameOf(flow.fromWallet).replace('MAIN', 'SPOT'),
      toAccountType: nameOf(flow.toWallet).replace('MAIN', 'SPOT'),
      status: 'SUCCESS',
      tranId: flow.number,
      time: flow.timeMs,
    }));
}

export function interest(context: Signed): object {
  const size = limitOf(context, 'size', 10, 100);
  const current = integer(context, 'current') ?? 1;
  const flows = context.account.flows.filter(
    (flow) => flow.type === 'interest' && flow.toWallet === 'margin',
  );
  const found = within(flows, spanOf(context, MONTH_SPAN)).toReversed();
  return {
    rows: found.slice((current - 1) * size, current * size).map((flow) => ({
      txId: flow.number,
      interestAccuredTime: flow.timeMs,
      asset: flow.currency,
      rawAsset: flow.currency,
      principal: '0.00000000',
      interest: eight(-flow.amount),
      interestRate: '0.00001000',
      type: 'ON_BORROW',
    })),
    total: found.length,
  };
}

export function dividends(context: Signed): object {
  const limit = limitOf(context, 'limit', 20, 500);
  const flows = context.account.flows.filter(({ type }) => type === 'dividend');
  const span = spanOf(context, {
    ...CAPITAL_SPAN,
    maximumMs: 180 * DAY_MS,
    defaultMs: 7 * DAY_MS,
  });
  const found = within(flows, span).toReversed();
  return {
    rows: found.slice(0, limit).map((flow) => ({
      id: flow.number,
      amount: formatAmount(flow.amount),
      asset: flow.currency,
      divTime: flow.timeMs,
      enInfo: 'Airdrop',
      tranId: flow.number,
      direction: 1,
    })),
    total: found.length,
  };
}

export function apiRestrictions({ key }: Signed): object {
  const may = key.permissions;
  return {
    ipRestrict: key.addresses !== null,
    createTime: key.createdMs,
    enableReading: may.has('read'),
    enableWithdrawals: may.has('withdraw'),
    enableInternalTransfer: may.has('transfer'),
    enableMargin: may.has('margin'),
    enableFutures: may.has('futures'),
    permitsUniversalTransfer: may.has('transfer'),
    enableVanillaOptions: false,
    enableFixApiTrade: false,
    enableFixReadOnly: may.has('read'),
    enableSpotAndMarginTrading: may.has('trade'),
    enablePortfolioMarginTrading: false,
    ...(key.expiresMs === null ? {} : { tradingAuthorityExpirationTime: key.expiresMs }),
  };
}

/** Every coin with its networks, as loadMarkets asks for it. */
export function coins({ venue, account, world }: Signed): readonly object[] {
  const names = venue.marketsOf('spot').flatMap(({ base, quote }) => [base, quote]);
  return [...new Set(names)].map((coin) => ({
    coin,
    name: coin,
    depositAllEnable: true,
    withdrawAllEnable: true,
    free: eight(world.ledger.balance(account.id, 'spot', coin)),
    locked: '0',
    freeze: '0',
    withdrawing: '0',
    ipoing: '0',
    ipoable: '0',
    storage: '0',
    isLegalMoney: false,
    trading: true,
    networkList: [
      {
        network: coin,
        coin,
        name: coin,
        isDefault: true,
        depositEnable: true,
        withdrawEnable: true,
        withdrawFee: '0.001',
        withdrawMin: '0.002',
        withdrawMax: '1000000',
        withdrawIntegerMultiple: '0.00000001',
        minConfirm: 1,
        unLockConfirm: 0,
      },
    ],
  }));
}
