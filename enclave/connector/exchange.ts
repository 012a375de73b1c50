// An instance of a ccxt class for one job: its calls go through the run (budget, retries, desk), its clock is the
// desk's, its JSON keeps all digits, its numbers are texts. Markets are loaded once per process and venue, by an
// instance without keys, and shared. Only reading calls leave: what could trade or withdraw is refused here too.

import type { Exchange } from '../../node_modules/ccxt/js/src/base/Exchange.js';
import { parseUtf8, utf8 } from '../../wire/bytes.ts';
import {
  canonicalDecimal,
  formatDecimal,
  multiplyDecimals,
  parseDecimal,
} from '../../wire/decimal.ts';
import { CallError, classOfAnswer } from './call-error.ts';
import { parseExactJson } from './json.ts';
import type { Answer } from './line.ts';
import type { Attempt, Run } from './run.ts';

type ExchangeClass<E extends Exchange> = new (config: Record<string, unknown>) => E;

export interface ExchangeOptions<E extends Exchange> {
  readonly type: ExchangeClass<E>;
  /** ccxt's own options of this venue; never changed after construction. */
  readonly options: Record<string, unknown>;
  /** The venue's weight of one unit of ccxt's cost, by host and first part of the path, or host; or 1. */
  readonly weightOf?: Readonly<Record<string, string>>;
  /** Paths below `/0/private/` and the like that read by POST. */
  readonly readsByPost?: RegExp | undefined;
  /** Sent with the question for markets, to make the answer smaller. */
  readonly marketsQuery?: Readonly<Record<string, string>>;
  /** Currencies are listed without keys, and their codes are needed. */
  readonly publicCurrencies?: boolean;
  /** Demo accounts on the live host, by a header (Bitget, OKX), or hosts of their own. */
  readonly sandbox?: 'hosts' | 'none';
}

const MARKETS_LIVE_MS = 3_600_000;

interface SharedMarkets {
  readonly source: Exchange;
  readonly loadedMs: number;
}

/** By class, options and environment. At most one venue's few variants in each process's life. */
const shared = new Map<string, SharedMarkets>();

export function forgetMarkets(): void {
  shared.clear();
}

function decodeBody(body: Uint8Array): string {
  const text = parseUtf8(body);
  if (text === null) throw new CallError('bad_response');
  return text;
}

function textOf(bytes: Uint8Array | null): string | undefined {
  return bytes === null ? undefined : decodeBody(bytes);
}

function configure<E extends Exchange>(
  { type, options, sandbox = 'none', publicCurrencies = false }: ExchangeOptions<E>,
  run: Run,
  withKeys: boolean,
): E {
  const { credentials, settings } = run.job;
  const exchange = new type({
    number: String,
    enableRateLimit: false,
    enableLastHttpResponse: false,
    enableLastResponseHeaders: false,
    userAgent: 'trackseal',
    options: { fetchCurrencies: false, fetchMargins: false, ...options },
    ...(withKeys
      ? {
          apiKey: textOf(credentials.apiKey),
          secret: textOf(credentials.secret),
          password: textOf(credentials.passphrase),
        }
      : {}),
  });
  if (!publicCurrencies) exchange.has = { ...exchange.has, fetchCurrencies: false };
  if (settings.environment === 'sandbox') {
    if (sandbox === 'none') throw new CallError('not_supported');
    exchange.setSandboxMode(true);
  }
  return exchange;
}

function headersOf(headers: unknown): ReadonlyMap<string, string> {
  const entries = Object.entries((headers ?? {}) as Record<string, unknown>);
  return new Map(
    entries
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => [name.toLowerCase(), String(value)] as const),
  );
}

function checkReadOnly(method: string, url: string, readsByPost: RegExp | undefined): void {
  if (method === 'GET') return;
  if (method === 'POST' && readsByPost?.test(new URL(url).pathname) === true) return;
  throw new CallError('not_supported');
}

function weightOf(cost: unknown, url: string, factors: Readonly<Record<string, string>>): string {
  const own = parseDecimal(String(cost)) ?? { units: 1n, scale: 0 };
  const { hostname, pathname } = new URL(url);
  const text = factors[`${hostname}/${pathname.split('/')[1] ?? ''}`] ?? factors[hostname] ?? '1';
  const factor = parseDecimal(text) ?? { units: 1n, scale: 0 };
  return canonicalDecimal(formatDecimal(multiplyDecimals(own, factor))) ?? '1';
}

interface Signed {
  readonly url: string;
  readonly method: string;
  readonly headers?: unknown;
  readonly body?: string;
}

/** Replaces what would touch the network, the clock, or floats. */
function adopt<E extends Exchange>(exchange: E, options: ExchangeOptions<E>, run: Run): E {
  exchange.milliseconds = () => run.venueNowMs();
  exchange.seconds = () => Math.floor(run.venueNowMs() / 1000);
  exchange.microseconds = () => run.venueNowMs() * 1000;
  exchange.parseJson = (text: unknown) => parseExactJson(String(text));
  exchange.fetch2 = async (path, api, method = 'GET', params = {}, headers, body, config = {}) => {
    const cost: unknown = exchange.calculateRateLimiterCost(api, method, path, params, config);
    let signed: Signed | null = null;
    const build = (): Attempt => {
      signed = exchange.sign(path, api, method, { ...params }, headers, body as never) as Signed;
      checkReadOnly(signed.method, signed.url, options.readsByPost);
      const all: unknown = exchange.setHeaders({
        'User-Agent': 'trackseal',
        ...(exchange.headers as Record<string, unknown>),
        ...((signed.headers ?? {}) as Record<string, unknown>),
      });
      return {
        method: signed.method as 'GET' | 'POST',
        url: signed.url,
        headers: headersOf(all),
        body: signed.body === undefined ? null : utf8(signed.body),
        weight: weightOf(cost, signed.url, options.weightOf ?? {}),
      };
    };
    const read = (answer: Answer): Promise<unknown> => readAnswer(exchange, signed, answer);
    const isClock = path === 'time' || /time$/iu.test(String(path));
    // Kraken's futures have no clock to ask.
    const hasClock = exchange.has['fetchTime'] === true;
    return run.call(build, read, isClock || !hasClock ? null : () => askTime(exchange));
  };
  return exchange;
}

async function readAnswer(
  exchange: Exchange,
  signed: Signed | null,
  { status, headers, body }: Answer,
): Promise<unknown> {
  // ccxt takes a key that was good before and is refused now for a sign of overload.
  exchange.options['hasAlreadyAuthenticatedSuccessfully'] = false;
  const text = decodeBody(body);
  const response = {
    status,
    statusText: '',
    headers: Object.fromEntries(headers),
    text: () => Promise.resolve(text),
  };
  const parsed: unknown = await exchange.handleRestResponse(
    response,
    signed?.url ?? '',
    signed?.method ?? 'GET',
    signed?.headers,
    signed?.body,
  );
  // A status that ccxt has no opinion on, a page of HTML, or half of an answer.
  const errorClass = classOfAnswer(status);
  if (errorClass !== null) throw new CallError(errorClass);
  if (typeof parsed !== 'object' || parsed === null) throw new CallError('bad_response');
  return parsed;
}

async function askTime(exchange: Exchange): Promise<number> {
  const time: unknown = await exchange.fetchTime();
  const venueMs = Number(time);
  if (!Number.isSafeInteger(venueMs)) throw new CallError('bad_response');
  return venueMs;
}

/** An instance with this job's keys and the process's markets; throws CallError and BudgetError. */
export async function openExchange<E extends Exchange>(
  run: Run,
  options: ExchangeOptions<E>,
): Promise<E> {
  const exchange = adopt(configure(options, run, true), options, run);
  const key = JSON.stringify([exchange.id, run.job.settings.environment, options.options]);
  const known = shared.get(key);
  const nowMs = run.nowMs();
  if (known !== undefined && Math.abs(nowMs - known.loadedMs) < MARKETS_LIVE_MS) {
    exchange.setMarketsFromExchange(known.source);
    return exchange;
  }
  const source = adopt(configure(options, run, false), options, run);
  await source.loadMarkets(false, { ...options.marketsQuery });
  shared.set(key, { source, loadedMs: nowMs });
  exchange.setMarketsFromExchange(source);
  return exchange;
}

/** ccxt holds keys as strings, which nobody can wipe; at least nothing points to them any more. */
export function closeExchange(exchange: Exchange): void {
  exchange.apiKey = '';
  exchange.secret = '';
  exchange.password = '';
  exchange.fetch2 = () => Promise.reject(new CallError('network'));
}
