// The internet of a connector's test, as far as the simulated exchange is it.

import { utf8 } from '../../wire/bytes.ts';
import type { JobCredentials } from '../../enclave/connector/job.ts';
import type { AccountAnswer } from '../../simulator/exchange/control.ts';
import type { RunningExchange } from '../../simulator/exchange/server.ts';
import { ask } from '../simulator/exchange/dial.ts';
import type { Internet } from './connector-desk.ts';

/** What breaks on the way is `network`, as the desk would say. */
export function simulatedInternet(exchange: RunningExchange): Internet {
  return async ({ fetch }) => {
    try {
      const answer = await ask(exchange, fetch.url, {
        method: fetch.method,
        headers: Object.fromEntries(fetch.headers),
        ...(fetch.body === null ? {} : { body: Buffer.from(fetch.body).toString('utf8') }),
      });
      return { status: answer.status, body: answer.body.toString('utf8') };
    } catch {
      return { failed: 'network' };
    }
  };
}

/** A new copy each time: a connector wipes what it was given. */
export function credentialsOf({ api_key, secret, passphrase }: AccountAnswer): JobCredentials {
  return {
    apiKey: utf8(api_key),
    secret: utf8(secret),
    passphrase: passphrase === null ? null : utf8(passphrase),
  };
}
