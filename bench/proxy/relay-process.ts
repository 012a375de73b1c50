// One of the two proxies of Node in a process of its own: the host's egress over the unix transport, or the plainest relay
// that Node can be, net.connect and pipe. Ends with its standard input.

import { createServer, connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { argv, stdin, stdout } from 'node:process';
import { Egress } from '../../host-proxy/egress/egress.ts';
import { createLogger } from '../../host-proxy/logger.ts';
import { unixTransport } from '../../wire/node/unix.ts';

export interface RelayOptions {
  readonly kind: 'egress' | 'node';
  /** Of the unix transport. */
  readonly directory: string;
  /** Where the server listens, by the name that is dialled. */
  readonly targets: readonly { readonly host: string; readonly port: number }[];
}

const BACKLOG = 4096;

async function startEgress({ directory, targets }: RelayOptions): Promise<void> {
  await Egress.listen({
    transport: unixTransport(directory),
    allow: targets.map(({ host, port }) => ({
      host,
      port: 443,
      address: { host: '127.0.0.1', port },
    })),
    maxConnections: 1024,
    connectMs: 10_000,
    idleMs: 300_000,
    logger: createLogger({ level: 'error', write: () => undefined, now: () => new Date() }),
  });
}

/** One port for each target. */
async function startRelays({ targets }: RelayOptions): Promise<readonly number[]> {
  return Promise.all(
    targets.map(
      ({ port }) =>
        new Promise<number>((resolve) => {
          const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
            const peer = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
            client.on('error', () => peer.destroy());
            peer.on('error', () => client.destroy());
            client.pipe(peer).pipe(client);
          });
          server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => {
            resolve((server.address() as AddressInfo).port);
          });
        }),
    ),
  );
}

const options = JSON.parse(argv[2] ?? '') as RelayOptions;
const ports = options.kind === 'node' ? await startRelays(options) : [];
if (options.kind === 'egress') await startEgress(options);
stdout.write(`${JSON.stringify({ ports })}\n`);
stdin.resume();
stdin.once('end', () => process.exit(0));
