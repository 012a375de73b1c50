// SecureClient: hands a trader's exchange keys to an attested enclave and asks it for signed results. The policy comes
// first: without one nothing is sent, and keys are sealed only for an enclave that verified under it. What the
// enclave answers is opened with the request's own key; figures count when their signature verifies.

import type { RefusalCode } from '../wire/codes.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import type { Metadata } from '../wire/envelope.ts';
import type { Result } from '../wire/result.ts';
import { refuse } from '../wire/result.ts';
import type { SignedStatement, TrackEvidence } from '../wire/track/evidence.ts';
import type { AccountOptions } from './account-options.ts';
import { checkAccount, checkTtl, DEFAULT_TTL_SECONDS } from './account-options.ts';
import type { AttestedEnclave } from './attested.ts';
import type { Fields } from './channel.ts';
import { Channel, encodePlaintext } from './channel.ts';
import type { CurveSource, Platform } from './curves.ts';
import { valueOf } from './error.ts';
import type { Http } from './http.ts';
import { parseBase } from './http.ts';
import type { Registration, SavedSession } from './registration.ts';
import { readExpiry, readRegistration } from './registration.ts';
import type { VerifiedResult } from './signed-result.ts';
import { verifyResult } from './signed-result.ts';
import type { TrackPage } from './track-page.ts';
import { readTrackPage } from './track-page.ts';
import type { Policy, Trust, UnsafeOptions } from './trust.ts';
import { readTrust } from './trust.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
/** These say that the enclave has started anew since it was challenged. */
const ENCLAVE_CHANGED: ReadonlySet<RefusalCode> = new Set([
  'tls_key_mismatch',
  'envelope_unopened',
]);

export interface SecureClientOptions extends AccountOptions, UnsafeOptions {
  /** https, with the port: `https://enclave.example:3000`. */
  readonly enclaveUrl: string;
  /** What the enclave must be: measurements as nitro-cli prints them, with additions. There is no default. */
  readonly policy: Policy;
  /** For one request and its answer, in ms. Default 30,000. */
  readonly timeoutMs?: number;
}

/** To go on with a session of before: no exchange keys are needed. */
export interface ResumeOptions extends UnsafeOptions {
  readonly policy: Policy;
  readonly timeoutMs?: number;
}

/** A policy, or what was made of one (by the command line, which also knows signed lists of images). */
export interface ClientTrust extends UnsafeOptions {
  readonly policy?: Policy | undefined;
  readonly trust?: Trust | undefined;
  readonly timeoutMs?: number | undefined;
}

/** What a platform brings: see node/index.ts and browser.ts. */
export interface Environment {
  readonly crypto: WireCrypto;
  readonly platform: Platform;
  readonly http: (base: URL, timeoutMs: number) => Http;
  /** False in a browser: there the envelope alone keeps others out. */
  readonly pinsTlsKey: boolean;
  readonly nowMs: () => number;
}

/** An account to register, or a session to go on with. */
export type Beginning = { readonly account: AccountOptions } | { readonly session: SavedSession };

export interface EnclaveFacts {
  readonly origin: string;
  readonly pcr0: string;
  readonly moduleId: string;
  readonly signedMs: number;
  /** Whether the TLS connection was seen to end in the enclave. */
  readonly tlsKeyPinned: boolean;
  readonly curves: { readonly x25519: CurveSource; readonly ed25519: CurveSource };
  /** Checks that were switched off. */
  readonly unsafe: readonly string[];
}

export class SecureClient {
  readonly #environment: Environment;
  readonly #channel: Channel;
  readonly #trust: Trust;
  readonly #base: URL;
  /** Dropped as soon as the enclave has them; JavaScript cannot wipe a text. */
  #account: AccountOptions | null;
  #session: SavedSession | null = null;

  constructor(
    environment: Environment,
    enclaveUrl: string,
    { policy, trust, timeoutMs = DEFAULT_TIMEOUT_MS, ...unsafe }: ClientTrust,
    from: Beginning,
  ) {
    const { crypto, platform, nowMs } = environment;
    const base = parseBase(enclaveUrl);
    if (base === null) {
      throw new TypeError('enclaveUrl: an address that starts with https://, without a query');
    }
    this.#environment = environment;
    this.#base = base;
    this.#trust = trust ?? valueOf(readTrust(crypto, policy, unsafe));
    const http = environment.http(base, timeoutMs);
    this.#channel = new Channel({ crypto, platform, http, trust: this.#trust, nowMs });
    this.#account = null;
    if ('account' in from) this.#account = valueOf(checkAccount(from.account));
    else {
      this.#session = from.session;
      this.#channel.expectLog(from.session.origin);
    }
  }

  /** Challenges the enclave and verifies its answer under the policy. `register` and the others do it by themselves. */
  async attest(): Promise<EnclaveFacts> {
    return this.#factsOf(valueOf(await this.#channel.attest()));
  }

  /** Sends the exchange keys, sealed for the enclave that has just proved itself. Once: a new account wants a new client. */
  async register(): Promise<Registration> {
    const account = this.#account;
    if (account === null) {
      return valueOf(refuse('usage_invalid', { what: 'registered before: make a new client' }));
    }
    const enclave = valueOf(await this.#channel.attest());
    const { userId, apiKey, secret, passphrase } = account;
    const metadata: Metadata = {
      op: 'register',
      time: this.#environment.nowMs(),
      exchange: account.exchange,
      label: account.label ?? '',
      accountType: account.accountType ?? 'spot',
      sandbox: account.sandbox ?? false,
      allowTrading: account.allowTrading ?? false,
      allowWithdrawals: account.allowWithdrawals ?? false,
      ttl: account.ttl ?? DEFAULT_TTL_SECONDS,
      ...(account.symbols === undefined ? {} : { symbols: account.symbols }),
    };
    const plaintext = encodePlaintext({
      userId,
      apiKey,
      secret,
      ...(passphrase === undefined ? {} : { passphrase }),
    });
    // Never sent twice: an answer that is lost leaves a session that ends by itself.
    const answer = valueOf(await this.#channel.send('/enclave/sessions', metadata, plaintext));
    const { origin } = enclave.envelope;
    const registration = valueOf(readRegistration(answer, { enclaveUrl: this.#base.href, origin }));
    this.#account = null;
    this.#session = registration.session;
    return registration;
  }

  /** Figures of the account, signed by the enclave and verified, with every hour of the last week. */
  getMetrics(): Promise<VerifiedResult> {
    return this.#result('metrics');
  }

  /** Sums of the account, signed by the enclave and verified. */
  getSummary(): Promise<VerifiedResult> {
    return this.#result('summary');
  }

  /**
   * The track record of the account: every signed statement, hour by hour. For `trackseal verify record`: signatures and chain
   * are not verified here, because earlier epochs had other keys. Give it documents of the epochs that signed.
   */
  async getTrackRecord(): Promise<TrackEvidence> {
    const statements: SignedStatement[] = [];
    let after: number | null = 0;
    while (after !== null) {
      const answer = await this.#operate('track', { after });
      const page: TrackPage = valueOf(readTrackPage(answer, after));
      statements.push(...page.statements);
      after = page.next;
    }
    return { statements, attestations: [] };
  }

  /** Prolongs the session: it ends `ttl` seconds from now, 300 to 604,800. The new end, ms since the Unix epoch. */
  async renew(ttl: number = DEFAULT_TTL_SECONDS): Promise<number> {
    const checked = checkTtl(ttl);
    if (!checked.ok) return valueOf(checked);
    const answer = await this.#operate('renew', { ttl });
    const expiresMs = valueOf(readExpiry(answer));
    if (this.#session !== null) this.#session = { ...this.#session, expiresMs };
    return expiresMs;
  }

  /** Ends the session at once: the enclave forgets the keys. */
  async revoke(): Promise<void> {
    await this.#operate('revoke', {});
    this.#session = null;
  }

  /** Null before `register` and after `revoke`. A secret: whoever has it reads the account's figures. */
  getSessionId(): string | null {
    return this.#session?.sessionId ?? null;
  }

  /** False too when the session has expired by this machine's clock. */
  isRegistered(): boolean {
    return this.#session !== null && this.#session.expiresMs > this.#environment.nowMs();
  }

  /** For `resume`; holds the session's id. Null before `register` and after `revoke`. */
  getSession(): SavedSession | null {
    return this.#session;
  }

  async #result(op: 'metrics' | 'summary'): Promise<VerifiedResult> {
    const session = this.#sessionOf();
    const answer = await this.#operate(op, {});
    const { enclave } = this.#channel;
    if (enclave === null) throw new Error('an answer was opened');
    const curves = await this.#channel.curves();
    return valueOf(await verifyResult(curves, answer, { enclave, session }));
  }

  #sessionOf(): SavedSession {
    return this.#session ?? valueOf(refuse('not_registered'));
  }

  /** With the session's id; once more, to an enclave that verified again, when it has started anew. */
  async #operate(op: string, fields: Fields): Promise<Fields> {
    const { sessionId } = this.#sessionOf();
    const send = (): Promise<Result<Fields>> =>
      this.#channel.send(
        '/enclave/envelopes',
        { op, time: this.#environment.nowMs() },
        encodePlaintext({ session_id: sessionId, ...fields }),
      );
    if (this.#channel.enclave === null) valueOf(await this.#channel.attest());
    const answer = await send();
    if (answer.ok || !ENCLAVE_CHANGED.has(answer.refusal.code)) return valueOf(answer);
    valueOf(await this.#channel.attest());
    return valueOf(await send());
  }

  async #factsOf(enclave: AttestedEnclave): Promise<EnclaveFacts> {
    const { x25519, ed25519 } = await this.#channel.curves();
    const { pcr0, moduleId, signedMs } = enclave;
    return {
      origin: enclave.envelope.origin,
      pcr0,
      moduleId,
      signedMs,
      tlsKeyPinned: this.#environment.pinsTlsKey,
      curves: { x25519, ed25519 },
      unsafe: this.#trust.unsafe,
    };
  }
}
