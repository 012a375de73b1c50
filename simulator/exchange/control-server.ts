// The control of a simulated exchange over HTTP on 127.0.0.1, for the demo and for tests that run it as a process:
// POST /<operation> with a JSON object, as control.ts names them. 400 with {error} where the operation refuses.
// It has no authentication: whoever reaches the port is in control of an exchange that is worth nothing.

import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Control } from './control.ts';
import { tellStory } from './story.ts';

type Operation = (control: Control, options: never) => unknown;

const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['account', (control, options) => control.account(options)],
  ['key', (control, options) => control.key(options)],
  ['revoke', (control, options) => control.revoke(options)],
  ['trade', (control, options) => control.trade(options)],
  ['order', (control, options) => control.order(options)],
  ['cancel', (control, options) => control.cancel(options)],
  ['funding', (control, options) => control.funding(options)],
  ['deposit', (control, options) => control.deposit(options)],
  ['withdraw', (control, options) => control.withdraw(options)],
  ['cash', (control, options) => control.cash(options)],
  ['transfer', (control, options) => control.transfer(options)],
  ['price', (control, options) => control.price(options)],
  ['story', (control, options) => tellStory(control, options)],
  ['move', (control, options) => control.move(options)],
  ['priceAt', (control, options) => control.priceAt(options)],
  [
    'outage',
    (control, options) => {
      control.outage(options);
      return {};
    },
  ],
  ['tick', (control, options) => control.tick(options)],
  ['pace', (control, options) => control.pace(options)],
  ['disturb', (control, options) => control.disturb(options)],
  ['clock', (control, options) => control.clock(options)],
  ['skew', (control, options) => control.skew(options)],
  ['limits', (control, options) => control.limits(options)],
  ['fault', (control, options) => control.fault(options)],
  ['clear', (control, options) => control.clear(options)],
  ['cut', (control, options) => control.cut(options)],
  ['faults', (control) => control.faults.list()],
  ['counters', (control) => control.counters()],
  ['requests', (control) => control.requests],
  ['ledger', (control, options) => control.ledger(options)],
]);

const MAX_BODY_BYTES: number = 1024 * 1024;

function answer(response: ServerResponse, status: number, value: unknown): void {
  const headers = {
    'content-type': 'application/json',
    'x-trackseal-simulator': 'exchange-control',
  };
  response.writeHead(status, headers).end(JSON.stringify(value ?? {}));
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const piece = chunk as Uint8Array;
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) throw new RangeError('body too large');
    chunks.push(piece);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const value: unknown = text === '' ? {} : JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new RangeError('no JSON object');
  return value;
}

async function handle(
  control: Control,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const operation = OPERATIONS.get((request.url ?? '').slice(1));
  if (operation === undefined || request.method !== 'POST') {
    answer(response, 404, { error: `POST /${[...OPERATIONS.keys()].join(', /')}` });
    return;
  }
  try {
    // Checked by the operation: what it cannot read throws, and nothing of value is at stake.
    const options = (await readJson(request)) as never;
    answer(response, 200, operation(control, options));
  } catch (error) {
    answer(response, 400, { error: error instanceof Error ? error.message : 'refused' });
  }
}

export interface RunningControl {
  readonly port: number;
  readonly close: () => Promise<void>;
}

export async function serveControl(control: Control, port: number = 0): Promise<RunningControl> {
  const server = createServer((request, response) => {
    void handle(control, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
