// The desk's polling with everything real but the clock's origin and the processes: HTTP over the way out, TLS to the
// simulated exchange, and the connector's own code at the other end of a stream.

import { duplexPair } from 'node:stream';
import { onTestFinished } from 'vitest';
import { forgetMarkets } from '../../enclave/connector/exchange.ts';
import { serveConnector } from '../../enclave/connector/serve.ts';
import type { Venue } from '../../enclave/connector/classes.ts';
import type { Account, AccountFigures } from '../../enclave/desk/accounts.ts';
import type { HttpLimits } from '../../enclave/desk/http.ts';
import { Http, HTTP_LIMITS } from '../../enclave/desk/http.ts';
import type { DeskLeaf } from '../../enclave/desk/services.ts';
import type { DeskKind } from '../../wire/desk-frames.ts';
import type { PollingOptions, PollSink } from '../../enclave/desk/polling-options.ts';
import { AccountPolling } from '../../enclave/desk/polling.ts';
import { hostsOf } from '../../enclave/desk/venues.ts';
import { VENUES } from '../../enclave/connector/classes.ts';
import { Egress } from '../../enclave/egress.ts';
import type { AccountAnswer } from '../../simulator/exchange/control.ts';
import type { RunningExchange } from '../../simulator/exchange/server.ts';
import { startExchange } from '../../simulator/exchange/server.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import type { ExchangePoll } from '../../wire/exchange-call.ts';
import { parseExchangePoll } from '../../wire/parse-exchange-call.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import { egressHost } from './egress-host.ts';
import { VirtualTime } from './virtual-time.ts';

export interface PolledExchange {
  readonly exchange: RunningExchange;
  readonly polling: AccountPolling;
  readonly time: VirtualTime;
  readonly polls: ExchangePoll[];
  readonly states: Map<string, Uint8Array>;
  readonly fatal: unknown[];
  readonly http: Http;
  /** Until `count` leaves are in the log, while time goes on in steps of `stepMs`. */
  untilPolls(count: number, stepMs?: number): Promise<void>;
  /** Until no poll is under way. */
  idle(): Promise<void>;
  account(answer: AccountAnswer, venue: Venue, change?: Partial<Account>): Account;
}

const ALL_HOSTS: readonly string[] = [
  ...new Set(VENUES.flatMap((venue) => hostsOf(venue, 'live').concat(hostsOf(venue, 'sandbox')))),
];

/** Real time for the venue's answers, which come over sockets. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** What hears of the records beside the sums, and the log that both write to. */
export interface ExchangeListener {
  readonly ledger: PollSink;
  readonly append: (kind: DeskKind, plaintext: Uint8Array) => Promise<DeskLeaf>;
}

export async function polledExchange(
  limits: Partial<HttpLimits> = {},
  connectors = 2,
  listener: ExchangeListener | null = null,
  time: VirtualTime = new VirtualTime(Date.UTC(2026, 10, 20, 12)),
): Promise<PolledExchange> {
  // Connectors of one process share them; ours begin as a new process does.
  forgetMarkets();
  const exchange = await startExchange({ clock: () => time.nowMs() });
  const host = await egressHost();
  for (const name of ALL_HOSTS) host.routes.set(`${name}:443`, exchange.port);
  const pem = utf8(exchange.ca);
  const manifest = {
    hosts: ALL_HOSTS.map((name) => ({ host: name, port: 443 })),
    roots_sha256: toHex(nodeCrypto.sha256(pem)),
  };
  const egress = assertAccepted(Egress.open(nodeCrypto, host.transport, manifest, pem));
  const http = new Http(egress, { ...HTTP_LIMITS, ...limits });
  const polls: ExchangePoll[] = [];
  const fatal: unknown[] = [];
  const services = {
    append: (kind: DeskKind, plaintext: Uint8Array) => {
      polls.push(assertAccepted(parseExchangePoll(plaintext)));
      if (listener !== null) return listener.append(kind, plaintext);
      return Promise.resolve({ index: polls.length, salt: pem, hash: pem });
    },
    configuration: { strategies: [], desk: { polling_ms: 300_000 } },
    egress,
    guard: {
      run: (work: () => void) => {
        work();
      },
      runAsync: (work: () => Promise<void>) =>
        work().catch((error: unknown) => {
          fatal.push(error);
        }),
    },
    isReady: () => true,
    logStalled: () => false,
    nowMs: () => time.nowMs(),
    nowNs: () => BigInt(time.nowMs()) * 1_000_000n,
    onOutput: () => undefined,
    spawnConnector: () => {
      const [desk, connector] = duplexPair();
      connector.on('error', () => undefined);
      serveConnector(connector, () => connector.destroy());
      return Promise.resolve(desk);
    },
  } as unknown as PollingOptions['services'];
  const polling = new AccountPolling({
    services,
    time,
    http,
    connectors,
    retries: 1,
    random: () => 0.5,
    ledger: listener?.ledger ?? null,
  });
  const states = new Map<string, Uint8Array>();
  polling.onState((id, state) => states.set(id, state));
  onTestFinished(async () => {
    await polling.close();
    http.close();
    await exchange.close();
  });
  /** A little of both times: connectors sign by the real one. */
  const step = async (): Promise<void> => {
    const startMs = performance.now();
    await pause(5);
    await time.run(Math.floor(performance.now() - startMs), 1);
  };
  return {
    exchange,
    polling,
    time,
    polls,
    states,
    fatal,
    http,
    untilPolls: async (count, stepMs = 0) => {
      while (polls.length < count && fatal.length === 0) {
        // What is under way takes real time, and its deadlines must not pass meanwhile.
        if (polling.busy) await step();
        else await time.run(stepMs, 1);
      }
    },
    idle: async () => {
      while (polling.busy && fatal.length === 0) await step();
    },
    account: ({ account, api_key, secret, passphrase }, venue, change = {}) => {
      const id = toHex(nodeCrypto.sha256(utf8(account))).slice(0, 32);
      return {
        id,
        commitment: nodeCrypto.sha256(utf8(id)),
        userTag: new Uint8Array(32),
        venue,
        label: 'main',
        accountType: 'spot',
        environment: 'live',
        symbols: [],
        allowTrading: false,
        credentials: {
          apiKey: Buffer.from(api_key),
          secret: Buffer.from(secret),
          passphrase: passphrase === null ? null : Buffer.from(passphrase),
        },
        createdNs: BigInt(time.nowMs()) * 1_000_000n,
        source: 'session',
        ...change,
      };
    },
  };
}

export function figuresOf(scene: PolledExchange, { id }: Pick<Account, 'id'>): AccountFigures {
  const figures = scene.polling.figures(id);
  if (figures === null) throw new Error('no such account');
  return figures;
}
