// The API of a desk behind its real HTTPS, with a fake exchange, for tests.

import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { AuditTrail } from '../../enclave/desk/audit-trail.ts';
import { HttpsService } from '../../enclave/desk/https.ts';
import { createCertificate } from '../../enclave/desk/tls-certificate.ts';
import type { TraderDesk, TraderDeskParts } from '../../enclave/desk/trader-desk.ts';
import { openTraderDesk } from '../../enclave/desk/trader-desk.ts';
import type { Metadata } from '../../wire/envelope.ts';
import type { FakeDeskOptions } from './fake-desk.ts';
import { FakeDesk, FakePolling } from './fake-desk.ts';
import type { Asker, Opened, SealedCall } from './trader.ts';
import { askPort, post, sealFor } from './trader.ts';

export const CREDENTIALS = {
  userId: 'user_1',
  apiKey: 'AKEY-1234567890',
  secret: 'SECRET-"quoted"\n-line',
  passphrase: 'pass word',
} as const;

function csr(): Promise<string> {
  return Promise.resolve('-----BEGIN CERTIFICATE REQUEST-----\n');
}

export class ApiScene {
  readonly desk: FakeDesk;
  readonly polling: FakePolling;
  readonly traders: TraderDesk;
  readonly ask: Asker;
  readonly port: number;
  readonly #server: Server;

  readonly #https: HttpsService;

  private constructor(
    desk: FakeDesk,
    polling: FakePolling,
    { traders, https, server }: { traders: TraderDesk; https: HttpsService; server: Server },
  ) {
    this.desk = desk;
    this.polling = polling;
    this.traders = traders;
    this.#https = https;
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.ask = askPort(this.port);
  }

  static async open(
    options: FakeDeskOptions = {},
    ledger: TraderDeskParts['ledger'] = null,
  ): Promise<ApiScene> {
    const desk = new FakeDesk(options);
    const audit = new AuditTrail(desk.services);
    const polling = new FakePolling();
    polling.used = ({ id, commitment }) => {
      audit.credentialsUsed(id, commitment);
    };
    const traders = await openTraderDesk(desk.services, { polling, audit, ledger, csr });
    const { services } = desk;
    const certificate = await createCertificate(services.keys.tls, ['localhost'], Date.now());
    const https = new HttpsService(services, services.keys.tls, certificate, traders.api);
    const server = createServer();
    await https.listen({
      connect: () => Promise.reject(new Error('nobody is dialled here')),
      listen: (_, accept) => {
        server.on('connection', accept);
        return Promise.resolve({ close: () => Promise.resolve() });
      },
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return new ApiScene(desk, polling, { traders, https, server });
  }

  seal(metadata: Metadata, plaintext: object | string): SealedCall {
    return sealFor(this.desk.services, { time: this.desk.nowMs, ...metadata }, plaintext);
  }

  register(settings: Metadata = {}, secrets: object = CREDENTIALS): Promise<Opened> {
    const call = this.seal({ op: 'register', exchange: 'kraken', ...settings }, secrets);
    return post(this.ask, '/enclave/sessions', call);
  }

  /** The id of a new session. */
  async session(settings: Metadata = {}): Promise<string> {
    const { status, inside } = await this.register(settings);
    if (status !== 200) throw new Error(`not registered: ${JSON.stringify(inside)}`);
    return String(inside['session_id']);
  }

  operate(op: string, id: string, more: object = {}): Promise<Opened> {
    const call = this.seal({ op }, { session_id: id, ...more });
    return post(this.ask, '/enclave/envelopes', call);
  }

  async close(): Promise<void> {
    await this.#https.close();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
    await this.traders.close();
  }
}
