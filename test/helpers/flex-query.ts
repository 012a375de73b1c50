// Answers of the Flex Web Service: statements of one account, whole or of single days, and polls that get them.

import type { Job } from '../../enclave/connector/job.ts';
import type { ConnectorRecord, Fill, Flow } from '../../enclave/connector/records.ts';
import { utf8 } from '../../wire/bytes.ts';
import type { Asked, Outcome, Reply } from './connector-desk.ts';
import { jobOf, runJob } from './connector-desk.ts';

export interface Sections {
  readonly trades?: string;
  readonly cash?: string;
  readonly transfers?: string;
  readonly positions?: string;
  readonly report?: string;
}

export function statement(
  accountId: string,
  sections: Sections,
  dates = 'fromDate="20261101" toDate="20261102"',
): string {
  const { trades = '', cash = '', transfers = '', positions = '', report = '' } = sections;
  return `<FlexStatement accountId="${accountId}" ${dates} period="" whenGenerated="20261103;010000"><Trades>${trades}</Trades><CashTransactions>${cash}</CashTransactions><Transfers>${transfers}</Transfers><OpenPositions>${positions}</OpenPositions><CashReport>${report}</CashReport><SalesTaxes /><CorporateActions /><ConversionRates /></FlexStatement>`;
}

export function query(...statements: readonly string[]): string {
  return `<?xml version="1.0"?><FlexQueryResponse queryName="q" type="AF"><FlexStatements count="${statements.length}">${statements.join('')}</FlexStatements></FlexQueryResponse>`;
}

export const TRADE: string =
  '<Trade accountId="U1" currency="USD" assetCategory="STK" symbol="IBM" tradeID="11" ibExecID="11" ibOrderID="o1" orderReference="ours-1" dateTime="20261102;101500" quantity="10" tradePrice="200.5" tradeMoney="2005" taxes="-0.1" ibCommission="-1.05" ibCommissionCurrency="USD" buySell="BUY" multiplier="1" levelOfDetail="EXECUTION" />';

export const TICKET: string =
  '<FlexStatementResponse timestamp="x"><Status>Success</Status><ReferenceCode>4711</ReferenceCode><Url>https://gdcdyn.interactivebrokers.com/AccountManagement/FlexWebService/GetStatement</Url></FlexStatementResponse>';

export function day(date: string, position: string, cash: string): string {
  return statement(
    'U1',
    {
      trades: TRADE.replaceAll('"11"', `"${date}"`).replace('20261102;', `${date};`),
      positions: `<OpenPosition accountId="U1" currency="USD" assetCategory="STK" symbol="IBM" reportDate="${date}" position="${position}" markPrice="200" />`,
      report: `<CashReportCurrency accountId="U1" currency="USD" endingCash="${cash}" />`,
    },
    `fromDate="${date}" toDate="${date}"`,
  );
}

export const NOW_MS: number = Date.UTC(2026, 10, 3, 12);

export function poll(
  answers: readonly string[],
  change: Partial<Job> = {},
  ticket: string = TICKET,
): Promise<Outcome> {
  let at = 0;
  const internet = ({ url }: Asked): Reply => {
    if (url.pathname.endsWith('/SendRequest')) return { body: ticket };
    return { body: answers[Math.min(at++, answers.length - 1)] };
  };
  return runJob(
    jobOf('ibkr', {
      fromMs: Date.UTC(2026, 10, 2, 5),
      nowMs: NOW_MS,
      credentials: { apiKey: utf8('token'), secret: utf8('1234'), passphrase: null },
      ...change,
    }),
    internet,
  );
}

export function fillsOf(records: readonly ConnectorRecord[]): readonly Fill[] {
  return records.filter((record) => record.kind === 'fill');
}

export function flowsOf(records: readonly ConnectorRecord[]): readonly Flow[] {
  return records.filter((record) => record.kind === 'flow');
}
