// What a promotion or somebody else's trades pay is no income of the account: bonuses, referrals, airdrops. Each venue's own
// words for them, in the answers of the simulated one; what is held or was paid for stays income.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Venue } from '../../../../enclave/connector/classes.ts';
import { forgetMarkets } from '../../../../enclave/connector/exchange.ts';
import type { VenueName } from '../../../../simulator/exchange/markets.ts';
import { startExchange } from '../../../../simulator/exchange/server.ts';
import type { RunningExchange } from '../../../../simulator/exchange/server.ts';
import type { Internet } from '../../../helpers/connector-desk.ts';
import { jobOf, runJob } from '../../../helpers/connector-desk.ts';
import { credentialsOf, simulatedInternet } from '../../../helpers/simulated-venues.ts';

const NOW_MS: number = Date.UTC(2026, 10, 20, 12);
const HOUR_MS = 3_600_000;

let exchange: RunningExchange;

beforeAll(async () => {
  forgetMarkets();
  exchange = await startExchange({ clock: () => NOW_MS });
});

afterAll(() => exchange.close());

type Row = Readonly<Record<string, unknown>>;

/** Type and direction of the flows that come of `rows`, with their names. */
async function typesOf(
  venue: Venue,
  at: VenueName,
  path: RegExp,
  body: unknown,
): Promise<readonly string[]> {
  const answer = exchange.control.account({ venue: at });
  exchange.control.deposit({ account: answer.account, currency: 'USDC', amount: '1' });
  const whole = simulatedInternet(exchange);
  let isTold = false;
  const internet: Internet = (asked) => {
    if (isTold || !path.test(asked.url.pathname)) return whole(asked);
    isTold = true;
    return { body };
  };
  const job = jobOf(venue, {
    nowMs: NOW_MS,
    fromMs: NOW_MS - HOUR_MS,
    credentials: credentialsOf(answer),
  });
  const { records } = await runJob(job, internet);
  expect(isTold).toBe(true);
  const flows = records.filter((record) => record.kind === 'flow');
  const told = flows.filter(({ id }) => /made/u.test(id));
  return told
    .map(({ id, type, direction }) => `${id.replace(/.*made-/u, '')} ${type} ${direction}`)
    .sort();
}

function krakenRow(type: string, amount = '1.0000'): Row {
  const entry = { refid: `R-${type}`, time: NOW_MS / 1000 - 60, type, subtype: '' };
  return { ...entry, aclass: 'currency', asset: 'ZUSD', amount, fee: '0.0000', balance: '1' };
}

function coinbaseRow(type: string, amount = '1'): Row {
  const created = new Date(NOW_MS - 60_000).toISOString();
  const money = { amount, currency: 'USDC' };
  return { id: `made-${type}`, type, status: 'completed', amount: money, created_at: created };
}

function dividendRow(enInfo: string, direction: number): Row {
  const id = `made-${enInfo} ${direction}`;
  return { id, amount: '1', asset: 'BNB', divTime: NOW_MS - 60_000, enInfo, tranId: 1, direction };
}

function incomeRow(incomeType: string): Row {
  const common = { symbol: '', income: '1', asset: 'USDT', time: NOW_MS - 60_000 };
  return { ...common, incomeType, tranId: `made-${incomeType}` };
}

describe('what a promotion pays is no income', () => {
  it('kraken', async () => {
    const types = ['invite_bonus', 'nft_rebate', 'reward', 'airdrop', 'credit', 'staking', 'earn'];
    const ledger = Object.fromEntries(types.map((type) => [`made-${type}`, krakenRow(type)]));
    const told = { error: [], result: { ledger, count: types.length } };
    expect(await typesOf('kraken', 'kraken', /Ledgers$/u, told)).toEqual([
      'airdrop other in',
      'credit other in',
      'earn interest in',
      'invite_bonus other in',
      'nft_rebate other in',
      'reward other in',
      'staking interest in',
    ]);
  });

  it('coinbase', async () => {
    const rows = [
      coinbaseRow('incentives_rewards_payout'),
      coinbaseRow('incentives_shared_clawback', '-1'),
      coinbaseRow('earn_payout'),
      coinbaseRow('subscription_rebate'),
      coinbaseRow('subscription', '-1'),
      coinbaseRow('interest'),
      coinbaseRow('staking_reward'),
    ];
    const told = { data: rows, pagination: { next_starting_after: null } };
    expect(await typesOf('coinbase', 'coinbase', /transactions$/u, told)).toEqual([
      'earn_payout other in',
      'incentives_rewards_payout other in',
      'incentives_shared_clawback other out',
      'interest interest in',
      'staking_reward interest in',
      'subscription fee out',
      'subscription_rebate other in',
    ]);
  });

  it('binance: by the words beside it, and with its direction', async () => {
    const rows = [
      dividendRow('Flexible', 1),
      dividendRow('BNB Vault', 1),
      dividendRow('ETH 2.0 Staking', -1),
      dividendRow('Airdrop', 1),
      dividendRow('Referral commission', 1),
      dividendRow('BHFT distribution', -1),
    ];
    const told = { rows, total: rows.length };
    expect(await typesOf('binance', 'binance', /assetDividend$/u, told)).toEqual([
      'Airdrop 1 other in',
      'BHFT distribution -1 other out',
      'BNB Vault 1 interest in',
      'ETH 2.0 Staking -1 interest out',
      'Flexible 1 interest in',
      'Referral commission 1 other in',
    ]);
  });

  it('binance futures', async () => {
    const names = [
      'WELCOME_BONUS',
      'REFERRAL_KICKBACK',
      'COMMISSION_REBATE',
      'API_REBATE',
      'CONTEST_REWARD',
      'FEE_RETURN',
      'BFUSD_REWARD',
    ];
    const told = names.map(incomeRow);
    expect(await typesOf('binanceusdm', 'binance', /fapi\/v1\/income$/u, told)).toEqual([
      'API_REBATE other in',
      'BFUSD_REWARD interest in',
      'COMMISSION_REBATE other in',
      'CONTEST_REWARD other in',
      'FEE_RETURN rebate in',
      'REFERRAL_KICKBACK other in',
      'WELCOME_BONUS other in',
    ]);
  });
});
