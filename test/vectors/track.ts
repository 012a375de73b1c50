// The values behind test/vectors/track.json: one chain of an account with an hour, an hour of which nothing is known, a
// correction, a snapshot and a revocation, a metrics statement over it, and the signature of one of them from a fixed
// key. `node test/vectors/track.ts` writes the file anew.

import { createPrivateKey, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../wire/bytes.ts';
import { originOf } from '../../wire/header.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import type { MetricsStatement } from '../../wire/track/metrics.ts';
import { HOUR_DOMAIN } from '../../wire/track/hour.ts';
import type { ChainStatement } from '../../wire/track/statement.ts';
import {
  encodeTrackLeaf,
  encodeTrackStatement,
  trackSignedBytes,
} from '../../wire/track/statement.ts';

const UNIT = 10n ** 18n;
export const ACCOUNT: Pick<HourStatement, 'accountCommitment' | 'venue' | 'environment'> = {
  accountCommitment: Uint8Array.from({ length: 32 }, (_, index) => 0x20 + index),
  venue: 'kraken',
  environment: 'live',
};
export const ORIGIN: string = originOf('trackseal.example/vectors', 7);
/** 2026-11-20T23:00:00Z. */
export const HOUR: number = 1_795_215_600_000;
const DIGEST = Uint8Array.from({ length: 32 }, (_, index) => 0x80 + index);

/** An hour that reconciles: 1,000 came in, 12.5 were earned. */
export const FIGURES: HourFigures = {
  startMs: HOUR,
  equityStart: 25_000n * UNIT,
  equityEnd: 26_012n * UNIT + UNIT / 2n,
  unrealisedEnd: -3n * UNIT,
  inflow: 1000n * UNIT,
  outflow: 0n,
  flows: [
    {
      atMs: HOUR + 1_800_000,
      amount: 1000n * UNIT,
      equityBefore: 25_004n * UNIT,
      reference: Uint8Array.from({ length: 16 }, (_, index) => 0x40 + index),
    },
  ],
  realised: 20n * UNIT,
  realisedAverage: 19n * UNIT,
  unrealisedChange: -5n * UNIT,
  funding: -1n,
  fees: 2n * UNIT + UNIT / 2n,
  income: 1n,
  residual: 0n,
  tolerance: UNIT / 100n,
  status: 'reconciled',
  trades: 3,
  volume: 51_000n * UNIT,
  byMarket: [
    {
      market: 'spot',
      trades: 3,
      volume: 51_000n * UNIT,
      fees: 2n * UNIT + UNIT / 2n,
      funding: null,
      realised: 20n * UNIT,
      equity: 26_012n * UNIT + UNIT / 2n,
      outlay: -1000n * UNIT,
      income: 1n,
      unrealised: -3n * UNIT,
    },
  ],
  prices: [{ source: 'api.kraken.com/0/public/OHLC', rows: 4, oldestAgeMs: 60_000 }],
  pricesDigest: DIGEST,
  polls: 12,
  complete: true,
  gaps: [],
  rebuilt: false,
};

/** An outage: nothing is known, and the hour is there. */
export function gapFigures(startMs: number): HourFigures {
  return {
    startMs,
    equityStart: null,
    equityEnd: null,
    unrealisedEnd: null,
    inflow: null,
    outflow: null,
    flows: [],
    realised: null,
    realisedAverage: null,
    unrealisedChange: null,
    funding: null,
    fees: null,
    income: null,
    residual: null,
    tolerance: 0n,
    status: 'unknown',
    trades: 0,
    volume: null,
    byMarket: [],
    prices: [],
    pricesDigest: new Uint8Array(32),
    polls: 0,
    complete: false,
    gaps: ['exchange_unavailable'],
    rebuilt: false,
  };
}

/** Builds a chain: `link` gives each statement its place. */
export class Chain {
  readonly statements: Uint8Array[] = [];

  link(statement: Place): Uint8Array {
    const last = this.statements.at(-1);
    const bytes = encodeTrackStatement({
      origin: ORIGIN,
      ...ACCOUNT,
      counter: this.statements.length + 1,
      previous: last === undefined ? null : nodeCrypto.sha256(last),
      ...statement,
    });
    this.statements.push(bytes);
    return bytes;
  }
}

type Omitted = 'origin' | 'accountCommitment' | 'venue' | 'environment' | 'counter' | 'previous';
type Without<T> = T extends ChainStatement ? Omit<T, Omitted> & Partial<Pick<T, Omitted>> : never;
/** A statement; what says its place is made, unless it is given. */
export type Place = Without<ChainStatement>;

export function hourAt(startMs: number, more: Partial<HourStatement> = {}): Place {
  return {
    kind: 'hour',
    supersedes: null,
    figures: { ...FIGURES, startMs, flows: [] },
    return: { ratio: '0.000480769230769231', method: 'twr', reason: null },
    basis: {
      polls: [{ origin: ORIGIN, leafIndex: 97, startedMs: startMs + 60_000, outcome: 0 }],
      missingPrices: [],
      late: 0,
    },
    lotMethod: 'fifo',
    ...more,
  };
}

export function gapAt(startMs: number): Place {
  return hourAt(startMs, {
    figures: gapFigures(startMs),
    return: { ratio: null, method: null, reason: 'no_valuation' },
    basis: {
      polls: [{ origin: ORIGIN, leafIndex: null, startedMs: startMs, outcome: 3 }],
      missingPrices: [{ kind: 'spot', reason: 'exchange_unavailable', count: 2 }],
      late: 0,
    },
  });
}

export function snapshotAt(atMs: number, lastCounter: number): Place {
  return {
    kind: 'snapshot',
    supersedes: null,
    atMs,
    equity: 26_012n * UNIT + UNIT / 2n,
    balance: 26_015n * UNIT + UNIT / 2n,
    unrealised: -3n * UNIT,
    deposits: 1000n * UNIT,
    withdrawals: 0n,
    byMarket: FIGURES.byMarket,
    basis: { lastCounter, hours: 1, completeHours: 1 },
    gaps: ['first_day'],
  };
}

/** Hour, snapshot, gap, correction of the first hour, revocation of the correction as lost, end. */
export function vectorChain(): Chain {
  const chain = new Chain();
  const first = hourAt(HOUR, { figures: FIGURES });
  chain.link(first);
  chain.link(snapshotAt(HOUR + 3_600_000, 1));
  chain.link(gapAt(HOUR + 3_600_000));
  chain.link({
    ...hourAt(HOUR, { figures: { ...FIGURES, trades: 4 } }),
    supersedes: { counter: 1, reason: 'late_data' },
  } as Place);
  chain.link({
    kind: 'revocation',
    lost: { from: 4, to: 4 },
    reason: 'store_lost',
    atMs: HOUR + 7_200_000,
  });
  chain.link({
    kind: 'revocation',
    lost: null,
    reason: 'removed',
    atMs: HOUR + 7_200_001,
  });
  return chain;
}

export function metricsOf(chain: Chain): MetricsStatement {
  const [first, , last] = chain.statements.map((bytes) => nodeCrypto.sha256(bytes));
  if (first === undefined || last === undefined) throw new Error('no chain');
  return {
    kind: 'metrics',
    origin: ORIGIN,
    ...ACCOUNT,
    fromMs: HOUR,
    toMs: HOUR + 7_200_000,
    asOfMs: HOUR + 7_200_500,
    first: { counter: 1, hash: first },
    last: { counter: 3, hash: last },
    figures: new Map<string, string | number | null>([
      ['trades', 3],
      ['cumulative_return', null],
      ['fees', '2.5'],
    ]),
    reasons: new Map([['cumulative_return', 'gap']]),
    conventions: new Map([['frequency', 'hourly']]),
    gaps: [
      {
        fromMs: HOUR + 3_600_000,
        toMs: HOUR + 7_200_000,
        reason: 'exchange_unavailable',
        change: '-0.012',
      },
    ],
  };
}

/** RFC 8032 7.1, test 1. */
const SEED = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';
export const PUBLIC_KEY = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a';

/** Name to hex. */
export function trackVectors(): Readonly<Record<string, string>> {
  const chain = vectorChain();
  const [hour, snapshot, gap, correction, revocation, end] = chain.statements;
  const missing = new Uint8Array();
  const key = createPrivateKey({
    key: Buffer.from(`302e020100300506032b657004220420${SEED}`, 'hex'),
    format: 'der',
    type: 'pkcs8',
  });
  const signed = trackSignedBytes(HOUR_DOMAIN, 97, 1, gap ?? missing);
  return {
    hour: toHex(hour ?? missing),
    snapshot: toHex(snapshot ?? missing),
    'hour without a return': toHex(gap ?? missing),
    'hour, a correction': toHex(correction ?? missing),
    'revocation of what was lost': toHex(revocation ?? missing),
    'end of the chain': toHex(end ?? missing),
    metrics: toHex(encodeTrackStatement(metricsOf(chain))),
    leaf: toHex(encodeTrackLeaf([hour ?? missing, gap ?? missing])),
    'public key': PUBLIC_KEY,
    'signed bytes, leaf 97, position 1': toHex(signed),
    'signature, leaf 97, position 1': sign(null, signed, key).toString('hex'),
  };
}

if (import.meta.main) {
  const text = `${JSON.stringify(trackVectors(), null, 2)}\n`;
  writeFileSync(join(import.meta.dirname, 'track.json'), text);
}
