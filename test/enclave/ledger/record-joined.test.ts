// The whole path with all real parts: a trader at the simulated exchange, polls, the book, prices, statements, signatures.

import { createPublicKey, verify } from 'node:crypto';
import { expect, it } from 'vitest';
import { openParts } from '../../../enclave/ledger/parts.ts';
import { parseTrackPage, encodeTrackAsk } from '../../../enclave/ledger/track-page.ts';
import { KIND } from '../../../wire/leaf.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { checkChain } from '../../../wire/track/chain.ts';
import { parseSignedStatement } from '../../../wire/track/evidence.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import type { HourStatement } from '../../../wire/track/hour.ts';
import {
  parseTrackLeaf,
  parseTrackStatement,
  trackDomainOf,
  trackSignedBytes,
} from '../../../wire/track/statement.ts';
import type { LedgerScene } from '../../helpers/ledger-scene.ts';
import { ledgerScene } from '../../helpers/ledger-scene.ts';

const HOUR_MS = 3_600_000;
/** Hours before the registration. */
const HISTORY = 26;
const DEPOSIT = 12;
const OUTAGE = { from: 9, to: 6 } as const;

interface Record {
  readonly scene: LedgerScene;
  readonly registeredMs: number;
  readonly signed: readonly SignedStatement[];
  readonly hours: readonly HourStatement[];
}

/** A trader with a history, registered, until the hour of the registration is signed. */
async function recorded(): Promise<Record> {
  const scene = await ledgerScene({ openParts });
  const { control } = scene.exchange;
  const registeredMs = scene.time.nowMs();
  control.move({ isMoving: true });
  const answer = control.account({ venue: 'bybit' });
  const { account } = answer;
  const at = (hours: number): { timeMs: number } => ({
    timeMs: registeredMs - hours * HOUR_MS + 61_000,
  });
  const trade = (hours: number, side: 'buy' | 'sell', amount: string): void => {
    const symbol = 'BTC/USDT';
    const { price } = control.priceAt({ venue: 'bybit', symbol, ...at(hours) });
    control.trade({ account, symbol, side, amount, price, ...at(hours) });
  };
  control.deposit({ account, currency: 'USDT', amount: '100000', ...at(HISTORY) });
  trade(20, 'buy', '0.5');
  control.deposit({ account, currency: 'USDT', amount: '50000', ...at(DEPOSIT) });
  trade(4, 'sell', '0.2');
  const [fromMs, toMs] = [registeredMs - OUTAGE.from * HOUR_MS, registeredMs - OUTAGE.to * HOUR_MS];
  control.outage({ venue: 'bybit', fromMs, toMs });
  const added = scene.account(answer, 'bybit');
  scene.polling.add(added, null);
  await scene.untilPolls(1);
  const page = async (): Promise<readonly SignedStatement[]> => {
    const asked = await scene.ledger.ask('track', added.id, encodeTrackAsk(0));
    const read = asked.ok ? parseTrackPage(asked.value) : null;
    return (read?.statements ?? []).flatMap((one) => parseSignedStatement(one) ?? []);
  };
  let signed: readonly SignedStatement[] = [];
  const hoursOf = (): readonly HourStatement[] =>
    signed
      .map(({ statement }) => assertAccepted(parseTrackStatement(statement)))
      .flatMap((statement) => (statement.kind === 'hour' ? [statement] : []));
  for (;;) {
    const isThere = scene.leaves.some(({ kind }) => kind === KIND.result);
    await scene.until(
      () => isThere || scene.leaves.some(({ kind }) => kind === KIND.result),
      60_000,
    );
    signed = await page();
    if (hoursOf().some(({ figures }) => figures.startMs >= registeredMs)) break;
    const { length } = scene.polls;
    await scene.until(() => scene.polls.length > length, 60_000);
  }
  return { scene, registeredMs, signed, hours: hoursOf() };
}

function hourAt({ hours, registeredMs }: Record, before: number): HourStatement {
  const startMs = Math.floor((registeredMs - before * HOUR_MS) / HOUR_MS) * HOUR_MS;
  const found = hours.find(({ figures }) => figures.startMs === startMs);
  if (found === undefined) throw new Error(`no hour ${String(before)} before the registration`);
  return found;
}

/** Each statement has its place in a leaf, its signature, and its place in one chain. */
function expectSigned({ scene, signed }: Record): void {
  const prefix = Buffer.from('302a300506032b6570032100', 'hex');
  const der = Buffer.concat([prefix, scene.keys.ed25519.publicKey]);
  const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
  const told = signed.map(({ statement, signature, leafIndex, leafSalt, position }) => {
    const leaf = scene.leaves[leafIndex];
    expect(leaf?.salt).toEqual(leafSalt);
    const inLeaf = assertAccepted(parseTrackLeaf(leaf?.plaintext ?? new Uint8Array()));
    expect(inLeaf[position]).toEqual(statement);
    const domain = trackDomainOf(statement) ?? '';
    return verify(null, trackSignedBytes(domain, leafIndex, position, statement), key, signature);
  });
  expect(told.length).toBeGreaterThan(HISTORY);
  expect(new Set(told)).toEqual(new Set([true]));
  const chained = signed
    .map(({ statement }) => statement)
    .filter((one) => assertAccepted(parseTrackStatement(one)).kind !== 'metrics');
  expect(checkChain(nodeCrypto, chained).ok).toBe(true);
}

/** What of its change of value is explained by nothing; null where something is not known. */
function unexplained({ figures }: HourStatement): bigint | null {
  const { equityStart, equityEnd, realised, unrealisedChange, funding, fees } = figures;
  const { income, inflow, outflow, residual } = figures;
  const added = [realised, unrealisedChange, funding, income, inflow];
  const known = [equityStart, equityEnd, fees, outflow, ...added].filter((one) => one !== null);
  if (known.length < 9) return null;
  const [start = 0n, end = 0n, paid = 0n, left = 0n, ...came] = known;
  return end - start + paid + left - (residual ?? 0n) - came.reduce((sum, one) => sum + one, 0n);
}

it('a trader, polls, prices and a book become signed hours that an allocator can check', async () => {
  const record = await recorded();
  expectSigned(record);

  // Hours of before the registration rest on the poll that told of them, and say that they are rebuilt.
  const before = hourAt(record, 2);
  expect(before.figures).toMatchObject({ rebuilt: true, complete: true, polls: 1, gaps: [] });
  expect(before.return.method).toBe('twr');
  const counted = record.hours.filter(({ return: { ratio } }) => ratio !== null);
  expect(counted.length).toBeGreaterThan(HISTORY - 6);

  // A deposit in the middle moves no return.
  const paid = hourAt(record, DEPOSIT);
  const { inflow, equityStart, equityEnd } = paid.figures;
  expect(Number(inflow) / 1e18).toBeCloseTo(50_000, -2);
  expect(Number(equityEnd) / Number(equityStart)).toBeGreaterThan(1.4);
  expect(Math.abs(Number(paid.return.ratio))).toBeLessThan(0.01);

  // An outage is a gap: no return, no value, and never a zero.
  const down = record.hours.filter(({ figures }) => figures.gaps.includes('price_missing'));
  expect(down.length).toBeGreaterThan(0);
  expect(down.length).toBeLessThan(OUTAGE.from - OUTAGE.to + 2);
  for (const { figures, return: made } of down) {
    expect(figures.startMs).toBeGreaterThanOrEqual(
      record.registeredMs - (OUTAGE.from + 1) * HOUR_MS,
    );
    expect([figures.equityEnd ?? figures.equityStart, made.ratio]).toEqual([
      figures.equityStart,
      null,
    ]);
  }

  // The first hour in which the venue told its balances reconciles.
  const told = hourAt(record, 0);
  expect(told.figures).toMatchObject({ status: 'reconciled', residual: 0n });
  const explained = record.hours.map(unexplained).filter((one) => one !== null);
  expect(explained.length).toBeGreaterThanOrEqual(counted.length);
  expect(explained.every((one) => one === 0n)).toBe(true);
}, 240_000);
