// What stands in a report in place of a figure: each reason of wire/performance/ in words. A word that is not here is
// printed as it is.

const REASONS: Readonly<Record<string, string>> = {
  below_minimum: 'too few returns for this figure',
  no_variance: 'all returns are equal',
  no_shortfall: 'no return below zero',
  no_drawdown: 'the index never fell',
  no_losses: 'no return below zero',
  no_moves: 'no return other than zero',
  gaps: 'a part of the time is not known',
  wiped_out: 'nothing was left',
  too_large: 'too large to be a figure',
  none: 'there is no such rate',
  several: 'more than one rate solves it',
  undecided: 'rates too close to be told apart',
  too_many_flows: 'too many flows',
  no_value: 'a value is not known',
  incomplete: 'nobody saw the account',
  missing: 'no record, or it was revoked',
  flow_not_valued: 'a flow without a price',
  gain_unexplained: 'more was there than any record explains',
  rebuilt: 'worked out backwards, later',
  value_jump: 'it begins with another value than the hour before ended with',
  no_capital: 'nothing was invested',
  capital_not_positive: 'no capital that a return could rest on',
  flow_outside: 'figures that contradict themselves',
  not_compared: 'balances and ledger were compared in no hour',
  no_returns: 'no hour has a return',
};

export function inWords(reason: string | null): string {
  return reason === null ? '' : (REASONS[reason] ?? reason);
}
