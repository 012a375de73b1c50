// One TCP connection to a name: all its addresses of both families, the next one when one is slow (RFC 8305). When
// none takes it, the name is asked for again, because it may have moved, as long as there is time. Whoever
// answers for the name decides where the bytes go; TLS is the enclave's.

import type { LookupFunction, Socket } from 'node:net';
import { connect, isIP } from 'node:net';
import type { Duplex } from 'node:stream';

/** How often the name is asked for. */
const MAX_ROUNDS = 3;
/** Before it is asked for again; twice that before the last time. */
const PAUSE_MS = 250;
/** How long one address may take before the next one is tried beside it. */
const NEXT_ADDRESS_MS = 250;

export interface OpenOptions {
  readonly host: string;
  readonly port: number;
  /** Name resolution and all attempts together. */
  readonly connectMs: number;
  readonly lookup: LookupFunction;
  /** Nobody waits for the connection any more when this closes. */
  readonly asker: Duplex;
}

/** Null: no address took it in time, or nobody wants it any more. */
export function openConnection(options: OpenOptions): Promise<Socket | null> {
  const { host, connectMs, asker } = options;
  const { promise, resolve } = Promise.withResolvers<Socket | null>();
  let rounds = 0;
  let settled = false;
  let socket: Socket | null = null;
  let pause: NodeJS.Timeout | undefined;
  const settle = (opened: Socket | null): void => {
    settled = true;
    clearTimeout(deadline);
    clearTimeout(pause);
    asker.off('close', give);
    if (opened === null) socket?.destroy();
    resolve(opened);
  };
  const give = (): void => {
    if (!settled) settle(null);
  };
  const attempt = (): void => {
    rounds++;
    const opening = begin(options);
    socket = opening;
    // Stays: an error must find a listener after the connection is open, too.
    opening.on('error', () => undefined);
    opening.once('connect', () => {
      settle(opening);
    });
    opening.once('close', () => {
      if (settled) return;
      // An address does not move.
      if (isIP(host) !== 0 || rounds === MAX_ROUNDS) give();
      else pause = setTimeout(attempt, PAUSE_MS * rounds);
    });
  };
  const deadline = setTimeout(give, connectMs);
  asker.once('close', give);
  if (asker.destroyed) give();
  else attempt();
  return promise;
}

function begin({ host, port, lookup }: OpenOptions): Socket {
  return connect({
    host,
    port,
    lookup,
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
  });
}
