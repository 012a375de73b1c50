import { describe, expect, it } from 'vitest';
import { Account } from '../../../host-proxy/execution/account.ts';
import type { RiskContext, RiskLimits, RiskOrder } from '../../../host-proxy/execution/risk.ts';
import { RiskGate } from '../../../host-proxy/execution/risk.ts';
import { SIDE } from '../../../wire/payloads.ts';
import { MS, PLAIN } from './support.ts';

const UNIT = 100_000_000n;
const DAY_MS = 86_400_000n;

const LIMITS: RiskLimits = {
  maxOrderNotional: 1_000_000n * UNIT,
  maxPositionNotional: 1_000_000n * UNIT,
  maxOrders: 1000,
  orderWindowMs: 1000,
  priceBandPpm: 1_000_000,
  maxDailyLoss: 1_000_000n * UNIT,
};

const ORDER: RiskOrder = { instrument: 1, side: SIDE.buy, quantity: 10, limit: 100 };
const CONTEXT: RiskContext = { nowNs: 0n, mid: 200n, openQuantity: 0n, killed: false };

function gate(limits: Partial<RiskLimits>, account = new Account([PLAIN])): RiskGate {
  const risk = new RiskGate({ ...LIMITS, ...limits }, account);
  risk.enterDay(0n);
  return risk;
}

function holding(quantity: number, price = 100): Account {
  const account = new Account([PLAIN]);
  const side = quantity > 0 ? SIDE.buy : SIDE.sell;
  account.of(1).addFill({ instrument: 1, side, price, quantity: Math.abs(quantity), fee: 0 });
  account.of(1).mark = 200n;
  return account;
}

describe('risk limits', () => {
  it.each([
    [1001n, null],
    [1000n, null],
    [999n, 'risk_order_notional'],
  ])('an order of 1,000 where %d is the limit', (limit, code) => {
    expect(gate({ maxOrderNotional: limit * UNIT }).check(ORDER, CONTEXT)).toBe(code);
  });

  it.each<[number, number, bigint, bigint, string | null]>([
    // held, side, open, limit
    [0, SIDE.buy, 0n, 1000n, null],
    [0, SIDE.buy, 0n, 999n, 'risk_position_notional'],
    [0, SIDE.buy, 5n, 1500n, null],
    [0, SIDE.buy, 5n, 1499n, 'risk_position_notional'],
    [5, SIDE.buy, 0n, 1500n, null],
    [5, SIDE.buy, 0n, 1499n, 'risk_position_notional'],
    [0, SIDE.sell, 0n, 1000n, null],
    [0, SIDE.sell, 0n, 999n, 'risk_position_notional'],
    [-5, SIDE.sell, 0n, 1499n, 'risk_position_notional'],
    // Only reduces: passes whatever the limit; through zero it counts.
    [50, SIDE.sell, 0n, 1n, null],
    [-10, SIDE.buy, 0n, 1n, null],
    [5, SIDE.sell, 5n, 1000n, null],
    [5, SIDE.sell, 5n, 999n, 'risk_position_notional'],
    [5, SIDE.sell, 0n, 1n, null],
    [4, SIDE.sell, 0n, 599n, 'risk_position_notional'],
    [4, SIDE.sell, 0n, 600n, null],
  ])('held %i, side %i, open %d, limit %d', (held, side, openQuantity, limit, code) => {
    const account = held === 0 ? new Account([PLAIN]) : holding(held);
    const risk = gate({ maxPositionNotional: limit * UNIT }, account);
    const order = { ...ORDER, side: side === SIDE.buy ? SIDE.buy : SIDE.sell };
    expect(risk.check(order, { ...CONTEXT, openQuantity })).toBe(code);
  });

  it('values a position at the book when the limit price is lower', () => {
    const risk = gate({ maxPositionNotional: 1000n * UNIT });
    const order = { ...ORDER, side: SIDE.sell, limit: 50 };
    expect(risk.check(order, CONTEXT)).toBe(null);
    expect(risk.check(order, { ...CONTEXT, mid: 201n })).toBe('risk_position_notional');
  });

  it('counts orders in a window of event time', () => {
    const risk = gate({ maxOrders: 2, orderWindowMs: 10 });
    const at = (ms: bigint): string | null => risk.check(ORDER, { ...CONTEXT, nowNs: ms * MS });
    expect([at(0n), at(5n), at(9n)]).toEqual([null, null, 'risk_order_rate']);
    // The first has left the window; what was refused does not count.
    expect([at(10n), at(14n), at(15n)]).toEqual([null, 'risk_order_rate', null]);
  });

  it.each([
    [109, null],
    [110, null],
    [111, 'risk_price_band'],
    [91, null],
    [90, null],
    [89, 'risk_price_band'],
  ])('a limit price of %i around 100 with a band of a tenth', (limit, code) => {
    const risk = gate({ priceBandPpm: 100_000 });
    expect(risk.check({ ...ORDER, limit }, CONTEXT)).toBe(code);
  });

  it.each([
    [999n, 'risk_daily_loss'],
    [1000n, 'risk_daily_loss'],
    [1001n, null],
  ])('a loss of 1,000 where %d is the limit', (limit, code) => {
    const account = holding(10);
    const risk = gate({ maxDailyLoss: limit * UNIT }, account);
    account.of(1).mark = 0n;
    expect(risk.check(ORDER, CONTEXT)).toBe(code);
  });

  it('counts fees as losses, and realised and unrealised together', () => {
    const account = holding(10);
    const risk = gate({ maxDailyLoss: 15n * UNIT }, account);
    account
      .of(1)
      .addFill({ instrument: 1, side: SIDE.sell, price: 99, quantity: 5, fee: 500_000_000 });
    account.of(1).mark = 198n;
    // 5 realised, 5 unrealised, 5 of fees.
    expect(risk.check(ORDER, CONTEXT)).toBe('risk_daily_loss');
  });

  it('begins anew at 00:00 UTC', () => {
    const account = holding(10);
    const risk = gate({ maxDailyLoss: 1000n * UNIT }, account);
    account.of(1).mark = 0n;
    expect(risk.enterDay((DAY_MS - 1n) * MS)).toBe(false);
    expect(risk.check(ORDER, CONTEXT)).toBe('risk_daily_loss');
    expect(risk.enterDay(DAY_MS * MS)).toBe(true);
    expect(risk.check(ORDER, CONTEXT)).toBe(null);
  });

  it('refuses without a market, also when a position has none', () => {
    expect(gate({}).check(ORDER, { ...CONTEXT, mid: null })).toBe('risk_no_market');
    const account = holding(1);
    account.of(1).mark = null;
    expect(gate({}, account).check(ORDER, CONTEXT)).toBe('risk_no_market');
  });

  it('refuses everything while the kill switch is on', () => {
    expect(gate({}).check(ORDER, { ...CONTEXT, killed: true })).toBe('risk_kill_switch');
  });
});
