import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AccountType, ErrorClass, Venue } from '../../../../enclave/connector/classes.ts';
import { TROUBLES } from '../../../../simulator/exchange/call.ts';
import type { Trouble } from '../../../../simulator/exchange/call.ts';
import type { AccountAnswer } from '../../../../simulator/exchange/control.ts';
import type { VenueName } from '../../../../simulator/exchange/markets.ts';
import { startExchange } from '../../../../simulator/exchange/server.ts';
import type { RunningExchange } from '../../../../simulator/exchange/server.ts';
import type { Outcome } from '../../../helpers/connector-desk.ts';
import { jobOf, runJob } from '../../../helpers/connector-desk.ts';
import { credentialsOf, simulatedInternet } from '../../../helpers/simulated-venues.ts';

interface Case {
  readonly venue: Venue;
  readonly simulated: VenueName;
  readonly accountType: AccountType;
  /** Where the venue's words are less than ours. */
  readonly others: Partial<Record<Trouble, ErrorClass>>;
}

const NO_BAN = { banned: 'rate_limited' } as const;
/** It says so with a page of HTML, which says only that it does not answer. */
const NO_NOTICE = { maintenance: 'unavailable' } as const;

const CASES: readonly Case[] = [
  {
    venue: 'binance',
    simulated: 'binance',
    accountType: 'spot',
    // One code is for a bad key, a wrong address and a missing permission.
    others: { permission: 'authentication', account: 'bad_request' },
  },
  {
    venue: 'binanceusdm',
    simulated: 'binance',
    accountType: 'futures',
    others: { permission: 'authentication', account: 'bad_request' },
  },
  {
    venue: 'bybit',
    simulated: 'bybit',
    accountType: 'spot',
    others: { ...NO_BAN, ...NO_NOTICE },
  },
  {
    venue: 'kraken',
    simulated: 'kraken',
    accountType: 'spot',
    others: { ...NO_BAN, account: 'permission' },
  },
  {
    venue: 'krakenfutures',
    simulated: 'krakenfutures',
    accountType: 'futures',
    others: { ...NO_BAN, ...NO_NOTICE, permission: 'authentication', account: 'bad_request' },
  },
  {
    venue: 'coinbase',
    simulated: 'coinbase',
    accountType: 'spot',
    others: {
      ...NO_BAN,
      ...NO_NOTICE,
      invalid_nonce: 'authentication',
      account: 'bad_request',
    },
  },
  { venue: 'okx', simulated: 'okx', accountType: 'spot', others: NO_BAN },
  {
    venue: 'bitget',
    simulated: 'bitget',
    accountType: 'spot',
    others: { ...NO_BAN, account: 'bad_request' },
  },
  {
    venue: 'mexc',
    simulated: 'mexc',
    accountType: 'spot',
    others: {
      banned: 'permission',
      authentication: 'bad_request',
      permission: 'authentication',
      account: 'authentication',
    },
  },
  {
    venue: 'alpaca',
    simulated: 'alpaca',
    accountType: 'spot',
    others: {
      ...NO_BAN,
      ...NO_NOTICE,
      invalid_nonce: 'bad_request',
      permission: 'authentication',
      account: 'authentication',
    },
  },
  {
    venue: 'ibkr',
    simulated: 'ibkr',
    accountType: 'spot',
    others: {
      ...NO_NOTICE,
      banned: 'unavailable',
      invalid_nonce: 'bad_request',
      account: 'authentication',
    },
  },
];

let exchange: RunningExchange;

beforeAll(async () => {
  exchange = await startExchange();
  for (const { simulated } of CASES) exchange.control.limits({ venue: simulated, scale: 1000 });
});

afterAll(() => exchange.close());

function poll(one: Case, account: AccountAnswer): Promise<Outcome> {
  const nowMs = Date.now();
  const job = jobOf(one.venue, {
    settings: {
      accountType: one.accountType,
      environment: 'live',
      label: 'main',
      allowTrading: false,
      symbols: [],
    },
    credentials: credentialsOf(account),
    fromMs: nowMs - 60_000,
    nowMs,
  });
  return runJob(job, simulatedInternet(exchange));
}

describe.each(CASES)('$venue', (one) => {
  it('has one class for each trouble', async () => {
    const { control } = exchange;
    const account = control.account({ venue: one.simulated });
    // So that markets are known, and only calls of the account meet the trouble.
    expect((await poll(one, account)).done.errorClass).toBe(null);
    const met: Record<string, unknown> = {};
    for (const kind of TROUBLES) {
      const { id } = control.fault({ type: 'trouble', kind, venue: one.simulated });
      met[kind] = (await poll(one, account)).done.errorClass;
      control.faults.clear(id);
    }
    const expected = Object.fromEntries(TROUBLES.map((kind) => [kind, one.others[kind] ?? kind]));
    expect(met).toEqual(expected);
  });
});
