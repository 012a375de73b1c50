// How the figures were made, as data that travels with them: two figures of one name and other conventions are not the
// same figure. docs/TRACK-RECORD.md explains each.

export type Frequency = 'hourly' | 'daily';

export interface Conventions {
  readonly frequency: Frequency | 'other';
  /** Round-the-clock markets: 365 days, 8,760 hours. */
  readonly periods_per_year: number;
  /** Standard deviation over N − ddof. */
  readonly ddof: 1;
  /** Return of a period without risk, taken off each return. */
  readonly risk_free: '0';
  /** Returns below it count for the downside. */
  readonly minimum_acceptable_return: '0';
  readonly sharpe: 'arithmetic mean / standard deviation * sqrt(periods per year)';
  readonly sortino: 'arithmetic mean / root mean square of shortfalls over all N * sqrt(periods per year)';
  readonly annual_return: 'geometric, only from one year on, none with gaps; _bridged: over gaps whose change is known';
  readonly calmar: 'annual_return_bridged / maximum drawdown, only from one year on';
  readonly drawdown: 'on the linked index, which starts at 1, at the ends of periods';
  readonly win_rate: 'periods above zero / periods other than zero';
  readonly profit_factor: 'sum of returns above zero / sum of returns below zero, without its sign';
  readonly gaps: 'the change over a gap is the return of its last period, those before it stand for nothing; not known: left out and counted';
  /** Fewer returns than these make a figure null. */
  readonly minimum_periods: MinimumPeriods;
}

export interface MinimumPeriods {
  /** Volatility, Sharpe and Sortino ratio. */
  readonly dispersion: number;
  /** Win rate and profit factor. */
  readonly counts: number;
  /** Annual return and Calmar ratio: a year, as GIPS does not let shorter periods be annualised. */
  readonly annual: number;
}

const COMMON = {
  ddof: 1,
  risk_free: '0',
  minimum_acceptable_return: '0',
  sharpe: 'arithmetic mean / standard deviation * sqrt(periods per year)',
  sortino: 'arithmetic mean / root mean square of shortfalls over all N * sqrt(periods per year)',
  annual_return:
    'geometric, only from one year on, none with gaps; _bridged: over gaps whose change is known',
  calmar: 'annual_return_bridged / maximum drawdown, only from one year on',
  drawdown: 'on the linked index, which starts at 1, at the ends of periods',
  win_rate: 'periods above zero / periods other than zero',
  profit_factor: 'sum of returns above zero / sum of returns below zero, without its sign',
  gaps: 'the change over a gap is the return of its last period, those before it stand for nothing; not known: left out and counted',
} as const;

export const CONVENTIONS: Readonly<Record<Frequency, Conventions>> = {
  hourly: {
    ...COMMON,
    frequency: 'hourly',
    periods_per_year: 8760,
    minimum_periods: { dispersion: 720, counts: 24, annual: 8760 },
  },
  daily: {
    ...COMMON,
    frequency: 'daily',
    periods_per_year: 365,
    minimum_periods: { dispersion: 30, counts: 30, annual: 365 },
  },
};
