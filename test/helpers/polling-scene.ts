// The desk's polling with time that a test moves, a log in memory, and a venue that a test writes.

import type { Account } from '../../enclave/desk/accounts.ts';
import type { HttpAnswer, HttpClient, HttpRequest } from '../../enclave/desk/http.ts';
import { HttpError } from '../../enclave/desk/http.ts';
import type { PollingOptions } from '../../enclave/desk/polling-options.ts';
import { AccountPolling } from '../../enclave/desk/polling.ts';
import type { ErrorClass } from '../../enclave/connector/classes.ts';
import type { Fill } from '../../enclave/connector/records.ts';
import { utf8 } from '../../wire/bytes.ts';
import type { DeskOutput } from '../../wire/desk-messages.ts';
import type { ExchangePoll } from '../../wire/exchange-call.ts';
import { parseExchangePoll } from '../../wire/parse-exchange-call.ts';
import { KIND } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { FakeConnectors, Script } from './fake-connector.ts';
import { fakeConnectors } from './fake-connector.ts';
import { tradeOf } from './records.ts';
import { VirtualTime } from './virtual-time.ts';

/** A Friday, 12:00:00 UTC. */
export const NOON_MS: number = Date.UTC(2026, 10, 20, 12);
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const SPKI: Uint8Array = new Uint8Array(32).fill(7);

/** What a venue answers: a status with headers and body, or why there is no answer. */
export type VenueAnswer =
  | ErrorClass
  | {
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string | readonly string[];
      /** After the body: it is cut. */
      readonly cut?: ErrorClass;
    };

export class FakeVenue implements HttpClient {
  readonly requests: HttpRequest[] = [];
  answer: (request: HttpRequest) => VenueAnswer | Promise<VenueAnswer>;

  constructor(answer: FakeVenue['answer'] = () => ({})) {
    this.answer = answer;
  }

  async send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    this.requests.push(request);
    const ended = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => {
        reject(new HttpError('timeout', SPKI));
      });
    });
    const answer = await Promise.race([this.answer(request), ended]);
    if (typeof answer === 'string') throw new HttpError(answer, SPKI);
    const { status = 200, headers = {}, body = '{}', cut } = answer;
    return {
      status,
      headers: new Map(Object.entries(headers)),
      spkiHash: SPKI,
      body: (async function* chunks() {
        for (const part of typeof body === 'string' ? [body] : body) {
          yield await Promise.resolve(utf8(part));
        }
        if (cut !== undefined) throw new HttpError(cut, SPKI);
      })(),
    };
  }
}

export interface PollingScene {
  readonly time: VirtualTime;
  readonly polling: AccountPolling;
  readonly connectors: FakeConnectors;
  readonly venue: FakeVenue;
  /** Leaves of the log, in their order. */
  readonly polls: ExchangePoll[];
  readonly states: Map<string, Uint8Array>;
  readonly fatal: unknown[];
  readonly audit: string[];
  isReady: boolean;
  stalled: boolean;
  output(clientOrderId: string): void;
}

export interface SceneOptions {
  readonly script: Script;
  readonly startMs?: number;
  readonly intervalMs?: number;
  readonly strategies?: number;
  readonly connectors?: number;
  readonly time?: VirtualTime;
  readonly random?: () => number;
}

type Services = PollingOptions['services'];

export function pollingScene(options: SceneOptions): PollingScene {
  const time = options.time ?? new VirtualTime(options.startMs ?? NOON_MS);
  const connectors = fakeConnectors(options.script);
  const venue = new FakeVenue();
  const polls: ExchangePoll[] = [];
  const fatal: unknown[] = [];
  const audit: string[] = [];
  const outputs: ((output: DeskOutput) => void)[] = [];
  const scene = { isReady: true, stalled: false };
  const attempt = (error: unknown): void => {
    fatal.push(error);
  };
  const services = {
    append: (kind: number, plaintext: Uint8Array) => {
      if (kind !== KIND.exchangeCall) throw new Error('another kind');
      polls.push(assertAccepted(parseExchangePoll(plaintext)));
      return Promise.resolve({ index: polls.length, salt: SPKI, hash: SPKI });
    },
    configuration: {
      strategies: Array.from({ length: options.strategies ?? 0 }, () => ({})),
      desk: { polling_ms: options.intervalMs ?? 300_000, max_sessions: 10_000, sandbox: true },
    },
    egress: { tlsNameOf: (host: string) => host },
    guard: {
      run: (work: () => void) => {
        try {
          work();
        } catch (error) {
          attempt(error);
        }
      },
      runAsync: async (work: () => Promise<void>) => {
        await work().catch(attempt);
      },
    },
    isReady: () => scene.isReady,
    logStalled: () => scene.stalled,
    nowMs: () => time.nowMs(),
    nowNs: () => BigInt(time.nowMs()) * 1_000_000n,
    onOutput: (listener: (output: DeskOutput) => void) => outputs.push(listener),
    spawnConnector: () => connectors.spawn(),
  } as unknown as Services;
  const polling = new AccountPolling({
    services,
    time,
    http: venue,
    connectors: options.connectors ?? 2,
    random: options.random ?? ((): number => 0.5),
    onAudit: (event) => audit.push(event),
  });
  const states = new Map<string, Uint8Array>();
  polling.onState((id, state) => states.set(id, state));
  return Object.assign(scene, {
    time,
    polling,
    connectors,
    venue,
    polls,
    states,
    fatal,
    audit,
    output: (clientOrderId: string) => {
      for (const listener of outputs) listener({ leafIndex: 1, clientOrderId, instrument: 1 });
    },
  });
}

export function accountOf(number: number, change: Partial<Account> = {}): Account {
  const id = number.toString(16).padStart(32, '0');
  return {
    id,
    commitment: nodeCrypto.sha256(utf8(id)),
    userTag: new Uint8Array(32),
    venue: 'binance',
    label: 'main',
    accountType: 'spot',
    environment: 'live',
    symbols: [],
    allowTrading: false,
    credentials: {
      apiKey: Buffer.from('key-in-clear-0001'),
      secret: Buffer.from('secret-in-clear-0001'),
      passphrase: null,
    },
    createdNs: BigInt(NOON_MS) * 1_000_000n,
    source: 'session',
    ...change,
  };
}

export function fillOf(id: number | string, change: Partial<Fill> = {}): Fill {
  return tradeOf({
    id: String(id),
    price: '60000',
    amount: '0.001',
    cost: '60',
    fees: [{ currency: 'BNB', amount: '0.0001' }],
    timeMs: NOON_MS,
    liquidity: 'taker',
    ...change,
  });
}
