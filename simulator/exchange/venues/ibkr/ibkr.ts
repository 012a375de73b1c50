// Interactive Brokers' Flex Web Service (version 3): SendRequest hands out a reference code, GetStatement the
// statement, or says that it is not ready. The key is a token, the secret a query's number; errors are XML with 200.

import { Refusal } from '../../call.ts';
import type { Call, Reply, Trouble, VenueApi } from '../../call.ts';
import { FixedWindow } from '../../limits.ts';
import { hashOf } from '../../world.ts';
import type { Account, World } from '../../world.ts';
import { flexQueryResponse } from './statement.ts';

const HOSTS: readonly string[] = [
  'ndcdyn.interactivebrokers.com',
  'gdcdyn.interactivebrokers.com',
  'www.interactivebrokers.com',
];
const ROOT =
  /^\/(?:AccountManagement\/FlexWebService\/|Universal\/servlet\/FlexStatementService\.)(?<method>SendRequest|GetStatement)$/u;
const PER_MINUTE = 10;

const MESSAGES: Readonly<Record<string, string>> = {
  1009: 'The server is under heavy load. Statement could not be generated at this time. Please try again shortly.',
  1012: 'Token has expired.',
  1013: 'IP restriction.',
  1014: 'Query is invalid.',
  1015: 'Token is invalid.',
  1017: 'Reference code is invalid.',
  1018: 'Too many requests have been made from this token. Please try again shortly.',
  1019: 'Statement generation in progress. Please try again shortly.',
  1020: 'Invalid request or unable to validate request.',
};

function xml(body: string): Reply {
  return { status: 200, headers: { 'content-type': 'text/xml;charset=UTF-8' }, body };
}

function said(status: 'Success' | 'Fail' | 'Warn', inner: string): Reply {
  return xml(
    `<FlexStatementResponse timestamp="21 November, 2026 10:37 AM EST">\n<Status>${status}</Status>\n${inner}\n</FlexStatementResponse>`,
  );
}

function failed(code: string): Reply {
  const status = code === '1019' || code === '1009' ? 'Warn' : 'Fail';
  const message = MESSAGES[code] ?? '';
  return said(status, `<ErrorCode>${code}</ErrorCode>\n<ErrorMessage>${message}</ErrorMessage>`);
}

export class Ibkr implements VenueApi {
  readonly name = 'ibkr';
  readonly hosts: readonly string[] = HOSTS;
  readonly #world: World;
  readonly #limit: FixedWindow = new FixedWindow(PER_MINUTE, 60_000);
  readonly #references = new Map<string, { readonly account: Account; readonly token: string }>();

  constructor(world: World) {
    this.#world = world;
  }

  answer(call: Call): Reply {
    const method = ROOT.exec(call.path)?.groups?.['method'];
    if (method === undefined || call.method !== 'GET') {
      return { status: 404, headers: { 'content-type': 'text/html' }, body: '<html>404</html>' };
    }
    if ((call.headers['user-agent'] ?? '') === '') {
      return { status: 403, headers: { 'content-type': 'text/html' }, body: '<html>403</html>' };
    }
    const token = call.parameters.get('t') ?? '';
    if (call.parameters.get('v') !== '3') throw new Refusal(failed('1020'));
    const { limitScale } = this.#world.venue('ibkr');
    if (this.#limit.add(token, 1, call.nowMs, limitScale).isOver) throw new Refusal(failed('1018'));
    return method === 'SendRequest' ? this.#send(call, token) : this.#get(call, token);
  }

  #send(call: Call, token: string): Reply {
    const found = this.#world.findKey('ibkr', false, token);
    if (found === null) throw new Refusal(failed('1015'));
    if (found.key.secret !== call.parameters.get('q')) throw new Refusal(failed('1014'));
    const { account, key } = found;
    const isExpired = key.expiresMs !== null && key.expiresMs <= call.nowMs;
    if (key.isRevoked || isExpired) throw new Refusal(failed('1012'));
    if (key.addresses !== null && !key.addresses.includes(call.address)) {
      throw new Refusal(failed('1013'));
    }
    const digits = hashOf('flex-reference', this.#world.nextNumber()).replaceAll(/\D/gu, '');
    const reference = digits.slice(0, 10).padEnd(10, '0');
    this.#references.set(reference, { account, token });
    const url = `https://${call.host}${call.path.replace('SendRequest', 'GetStatement')}`;
    return said('Success', `<ReferenceCode>${reference}</ReferenceCode>\n<Url>${url}</Url>`);
  }

  #get(call: Call, token: string): Reply {
    const kept = this.#references.get(call.parameters.get('q') ?? '');
    if (kept === undefined) throw new Refusal(failed('1017'));
    if (kept.token !== token) throw new Refusal(failed('1015'));
    return xml(flexQueryResponse(kept.account, this.#world, call.nowMs));
  }

  trouble(kind: Trouble): Reply {
    const html = { 'content-type': 'text/html' };
    const replies: Readonly<Record<Trouble, Reply>> = {
      maintenance: { status: 503, headers: html, body: '<html>System maintenance</html>' },
      unavailable: failed('1019'),
      rate_limited: failed('1018'),
      banned: failed('1009'),
      geo_blocked: { status: 451, headers: html, body: '<html>451</html>' },
      invalid_nonce: failed('1020'),
      authentication: failed('1015'),
      permission: failed('1013'),
      account: failed('1012'),
      bad_request: failed('1014'),
    };
    return replies[kind];
  }
}
