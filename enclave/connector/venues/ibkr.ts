// Interactive Brokers through the Flex Web Service: a query is asked for, then fetched when it is ready. The token is
// the key, the query's number the secret; a token reads reports and nothing else. Statements end with a day, so
// what came after it is covered as delayed, and asking more than once an hour gives nothing new.

import { parseUtf8 } from '../../../wire/bytes.ts';
import type { Adapter } from '../adapter.ts';
import { HOUR_MS, UNKNOWN_PERMISSIONS } from '../adapter.ts';
import { CallError, classOfAnswer } from '../call-error.ts';
import type { Coverage, CoverageSubject, ErrorClass } from '../classes.ts';
import type { SourceCursor } from '../cursors.ts';
import { ACCOUNT_KEY, ASKED_KEY, ENDED_MARK, toldMsOf } from '../cursors.ts';
import type { Answer, Joined } from '../flex/joined.ts';
import {
  ENDED_MS,
  endOf,
  hasWeekday,
  isOfTheEnd,
  joinStatements,
  OF_THE_END,
} from '../flex/joined.ts';
import type { FlexStatement, Section } from '../flex/statement.ts';
import { parseFlexXml, readFlexStatements, SECTIONS } from '../flex/statement.ts';
import type { Raw } from '../raw.ts';
import { textAt } from '../raw.ts';
import type { ConnectorRecord } from '../records.ts';
import type { Run } from '../run.ts';
import type { Span, Walker } from '../source.ts';
import { cursorOf, failureOf, freshOf, reasonOf } from '../source.ts';

const SERVICE = 'https://ndcdyn.interactivebrokers.com/AccountManagement/FlexWebService';
/** What the service may name for the second call. */
const HOSTS: ReadonlySet<string> = new Set([
  'ndcdyn.interactivebrokers.com',
  'gdcdyn.interactivebrokers.com',
]);
const BUSY_MS = 5000;
const THROTTLED_MS = 10_000;

export function openIbkr(run: Run): Promise<Adapter> {
  return Promise.resolve({
    check: async () => {
      const statements = await readQuery(run);
      const [first] = statements;
      return {
        ...UNKNOWN_PERMISSIONS,
        read: true,
        // The service has no call that does anything.
        trade: false,
        withdraw: false,
        transfer: false,
        accountId: first?.accountId ?? null,
      };
    },
    phases: [
      () => Promise.resolve([{ type: 'whole', walk: (walker) => walk(run, walker) } as const]),
    ],
    close: () => undefined,
  });
}

/** Codes of the service; those of a statement that is not ready are worth a pause. */
const CODES: Readonly<Record<string, readonly [ErrorClass, number | null]>> = {
  '1001': ['unavailable', BUSY_MS],
  '1003': ['unavailable', null],
  '1004': ['unavailable', BUSY_MS],
  '1005': ['unavailable', BUSY_MS],
  '1006': ['unavailable', BUSY_MS],
  '1007': ['unavailable', BUSY_MS],
  '1008': ['unavailable', BUSY_MS],
  '1009': ['unavailable', BUSY_MS],
  '1010': ['bad_request', null],
  '1011': ['account', null],
  '1012': ['authentication', null],
  '1013': ['permission', null],
  '1014': ['bad_request', null],
  '1015': ['authentication', null],
  '1016': ['account', null],
  '1017': ['bad_response', null],
  '1018': ['rate_limited', THROTTLED_MS],
  '1019': ['unavailable', BUSY_MS],
  '1020': ['bad_request', null],
  '1021': ['unavailable', BUSY_MS],
};

/** Throws for what the service refuses; null when it is another document. */
function checkResponse(document: Raw): Raw | null {
  const response = document['FlexStatementResponse'];
  if (response === undefined) return null;
  const code = textAt(response, 'ErrorCode');
  if (code === null && textAt(response, 'Status') === 'Success') return response as Raw;
  const [errorClass, retryAfterMs] = CODES[code ?? ''] ?? ['bad_response', null];
  throw new CallError(errorClass, retryAfterMs);
}

function get(run: Run, base: string, query: Readonly<Record<string, string>>): Promise<Raw> {
  return run.call(
    () => ({
      method: 'GET',
      url: `${base}?${new URLSearchParams({ ...query, v: '3' }).toString()}`,
      // It refuses requests without one.
      headers: new Map([['user-agent', 'trackseal']]),
      body: null,
      weight: '1',
    }),
    ({ status, body }) => {
      const errorClass = classOfAnswer(status);
      if (errorClass !== null) throw new CallError(errorClass);
      const document = parseFlexXml(parseUtf8(body) ?? '');
      if (document === null) throw new CallError('bad_response');
      return checkResponse(document) ?? document;
    },
    null,
  );
}

/** Only the venue's own hosts, over HTTPS; anything else is the service's own address. */
function statementUrl(named: string | null): string {
  const url = URL.canParse(named ?? '') ? new URL(named ?? '') : null;
  const known = url !== null && url.protocol === 'https:' && HOSTS.has(url.host);
  return known ? `${url.origin}${url.pathname}` : `${SERVICE}/GetStatement`;
}

async function readQuery(run: Run): Promise<readonly FlexStatement[]> {
  const { apiKey, secret } = run.job.credentials;
  const token = parseUtf8(apiKey) ?? '';
  const request = { t: token, q: parseUtf8(secret) ?? '' };
  const ticket = await get(run, `${SERVICE}/SendRequest`, request);
  const reference = textAt(ticket, 'ReferenceCode');
  if (reference === null) throw new CallError('bad_response');
  const url = statementUrl(textAt(ticket, 'Url'));
  const statements = readFlexStatements(await get(run, url, { t: token, q: reference }));
  if (statements === null) throw new CallError('bad_response');
  return statements;
}

const SUBJECTS: readonly (readonly [CoverageSubject, Section])[] = [
  ['fills', 'Trades'],
  ['deposits', 'CashTransactions'],
  ['withdrawals', 'CashTransactions'],
  ['interest', 'CashTransactions'],
  ['interest', 'CFDCharges'],
  ['fees', 'SalesTaxes'],
  ['transfers', 'Transfers'],
  ['transfers', 'CorporateActions'],
  ['positions', 'OpenPositions'],
  ['balances', 'CashReport'],
  ['prices', 'ConversionRates'],
];

/** Of the account, but where two sections say something of the same subject. */
function marketOf(accountId: string, section: Section): string {
  const isSecond = section === 'CorporateActions' || section === 'CFDCharges';
  return isSecond ? `${accountId} ${section}`.slice(0, 64) : accountId;
}

/**
 * What came since the last statements is known as little as before, of accounts that no statement of the answer is of, or
 * where nothing was asked for. False: there is no such account, or hours do not wait for it any more.
 */
function coverLater(
  { cursors, cover }: Walker,
  nowMs: number,
  statements: readonly FlexStatement[] = [],
): boolean {
  const told = new Set(statements.map(({ accountId }) => accountId));
  const sinceMs = endOf(statements) - ENDED_MS;
  let isLater = false;
  for (const [key, cursor] of cursors.sources) {
    const market = key.slice(ACCOUNT_KEY.length);
    if (!key.startsWith(ACCOUNT_KEY) || told.has(market)) continue;
    if (cursor.mark === ENDED_MARK || toldMsOf(cursor) < sinceMs) continue;
    const span = { fromMs: Math.min(cursor.doneToMs, nowMs), toMs: nowMs };
    cover({ what: 'fills', market, ...span, complete: false, reason: 'delayed' });
    isLater = true;
  }
  return isLater;
}

async function walk(run: Run, walker: Walker): Promise<CallError | null> {
  const nowMs = walker.nowMs();
  const asked = cursorOf(walker, ASKED_KEY);
  const askedMs = asked.mark === null ? 0 : Number(asked.mark);
  if (nowMs - askedMs < HOUR_MS && askedMs <= nowMs) {
    coverLater(walker, nowMs);
    return null;
  }
  try {
    const statements = await readQuery(run);
    // What is lost until then would be said hour by hour, for as long as the venue likes.
    if (statements.some(({ fromMs }) => fromMs > nowMs)) throw new CallError('bad_response');
    const isLater = coverLater(walker, nowMs, statements);
    const { accounts, heldMs, isHeld } = joinStatements(statements);
    const held = { heldMs, isHeld: isHeld && !isLater };
    for (const one of accounts) await take(one, held, walker, nowMs);
    asked.mark = String(nowMs);
    return null;
  } catch (error) {
    const failure = failureOf(error);
    const reason = reasonOf(failure);
    for (const [what] of SUBJECTS) {
      const span = { fromMs: Math.min(asked.doneToMs, nowMs), toMs: nowMs };
      walker.cover({ what, market: 'all', ...span, complete: false, reason });
    }
    return failure instanceof CallError ? failure : null;
  }
}

/** The end of a day that is not over is now. */
function notAhead(record: ConnectorRecord, nowMs: number): ConnectorRecord {
  return record.kind === 'price' && record.atMs > nowMs
    ? { ...record, atMs: nowMs, tradedMs: nowMs }
    : record;
}

function isOfCfd(record: ConnectorRecord): boolean {
  return (record.kind === 'fill' || record.kind === 'position') && record.market === 'swap';
}

/** Whoever has no CFDs needs no section of their charges; sums alone are of charges that are not known. */
function needsNoCharges({ records, untaken }: Joined): boolean {
  const isSummed = untaken.some(({ section }) => section === 'CFDCharges');
  return !isSummed && !records.some(isOfCfd);
}

/** With something malformed that no day was left out for yet; what is held is malformed as often as it is asked for. */
function brokenIn(
  { malformed, missing }: Joined,
  { ids }: SourceCursor,
  isLeftOut: boolean,
): Set<Section> {
  const broken = SECTIONS.filter((section) => malformed[section].some((name) => !ids.has(name)));
  for (const section of isLeftOut ? broken : []) {
    if (OF_THE_END.has(section) || missing.includes(section)) continue;
    // Before all records, so that these are forgotten first.
    for (const name of malformed[section]) ids.set(name, 0);
  }
  return new Set(broken);
}

async function take(
  statement: Joined,
  { heldMs, isHeld }: Omit<Answer, 'accounts'>,
  walker: Walker,
  nowMs: number,
): Promise<void> {
  const { accountId, fromMs, toMs, records, missing, untaken } = statement;
  const cursor = cursorOf(walker, `${ACCOUNT_KEY}${accountId}`, true);
  const known = cursor.doneToMs;
  const dated = records.filter((record) => 'timeMs' in record);
  await walker.emit(freshOf(dated, cursor));
  // Of before what is known by its id, but booked since: an older trade that is corrected.
  const isSince = known > walker.fromMs;
  const late = dated.filter((record) => (statement.bookedMs.get(record) ?? 0) > known);
  if (isSince) await walker.emit(freshOf(late, cursor, 0));
  const momentary = records.filter(
    (record) => !('timeMs' in record) && (isHeld || !isOfTheEnd(record)),
  );
  await walker.emit(momentary.map((record) => notAhead(record, nowMs)));
  for (const { section, reason } of untaken) {
    if (reason !== 'not_supported') continue;
    const market = `${accountId} ${section}`.slice(0, 64);
    const span = { fromMs: Math.min(fromMs, nowMs), toMs: nowMs };
    walker.cover({ what: 'transfers', market, ...span, complete: false, reason });
  }
  // What was told before stays told: without cursors, or without a new day, perhaps nothing is left out.
  const isLeftOut = isSince && toMs > known;
  const broken = brokenIn(statement, cursor, isLeftOut);
  cursor.doneToMs = Math.max(known, Math.min(toMs, nowMs));
  cursor.mark = statement.ended ? ENDED_MARK : null;
  for (const [what, section] of SUBJECTS) {
    const market = marketOf(accountId, section);
    if (missing.includes(section)) {
      if (section === 'CFDCharges' && needsNoCharges(statement)) continue;
      const span = { fromMs: Math.min(known, nowMs), toMs: nowMs };
      walker.cover({ what, market, ...span, complete: false, reason: 'not_supported' });
      continue;
    }
    const reason = broken.has(section) ? ('record_malformed' as const) : null;
    const isEnd = OF_THE_END.has(section);
    const endMs = isEnd ? heldMs : toMs;
    const heldSpans = isHeld ? [{ fromMs: known, toMs: heldMs }] : [];
    const spans = isEnd ? heldSpans : statement.spans;
    coverSpans(spans, { what, market, reason }, { fromMs: known, toMs: nowMs }, walker);
    if (endMs < nowMs) {
      const rest = { fromMs: endMs, toMs: nowMs };
      walker.cover({ what, market, ...rest, complete: false, reason: 'delayed' });
    }
  }
}

/** From where the account is known to, until now, span by span. */
function coverSpans(
  spans: readonly Span[],
  { what, market, reason }: Pick<Coverage, 'what' | 'market' | 'reason'>,
  asked: Span,
  { cover }: Walker,
): void {
  let doneMs = asked.fromMs;
  for (const { fromMs, toMs } of spans) {
    if (toMs <= doneMs && toMs !== spans.at(-1)?.toMs) continue;
    // A query of the last days leaves out what was before them, and perhaps days between.
    const isHole = hasWeekday(doneMs, fromMs);
    if (isHole) {
      const span = { fromMs: doneMs + 1, toMs: fromMs };
      cover({ what, market, ...span, complete: false, reason: 'history_limit' });
    }
    const startMs = Math.min(isHole ? fromMs : doneMs, toMs);
    const endMs = Math.min(toMs, asked.toMs);
    if (endMs >= startMs) {
      const span = { fromMs: startMs, toMs: endMs };
      cover({ what, market, ...span, complete: reason === null, reason });
    }
    doneMs = toMs;
  }
}
