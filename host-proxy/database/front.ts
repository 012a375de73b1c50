// PGlite behind the PostgreSQL protocol: TLS or nothing, a password, then turns at the one engine. Not trusted by the
// enclave, which checks what it reads; this side trusts no client either: connections, sizes and times are
// bounded, and what one client leaves behind is not there for the next.

import { randomBytes } from 'node:crypto';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import type { SecureContext } from 'node:tls';
import type { Logger } from '../logger.ts';
import { Engine, EngineUnavailable } from './engine.ts';
import type { ServerIdentity } from './authority.ts';
import { MessageReader } from './message-reader.ts';
import type { DatabaseRole, Passwords } from './passwords.ts';
import { isRole } from './passwords.ts';
import {
  CANCEL_REQUEST,
  encodeAuthentication,
  SASL,
  SASL_CONTINUE,
  SASL_FINAL,
  encodeError,
  encodeMessage,
  encodeParameter,
  encodeReady,
  GSS_REQUEST,
  HEAD_BYTES,
  parseStartup,
  PROTOCOL_3_0,
  SSL_REQUEST,
} from './protocol.ts';
import { Session } from './session.ts';
import type { SessionLimits } from './session.ts';
import { Turns } from './turns.ts';
import { answerScram, SCRAM } from './scram.ts';

export interface FrontLimits extends SessionLimits {
  readonly maxConnections: number;
  /** From the first byte to the right password. */
  readonly startupMs: number;
  readonly maxResultBytes: number;
}

export const DEFAULT_LIMITS: FrontLimits = {
  maxConnections: 32,
  startupMs: 10_000,
  maxBatchBytes: 64 * 1024 * 1024,
  maxResultBytes: 64 * 1024 * 1024,
  statementMs: 60_000,
  idleTransactionMs: 10_000,
  transactionMs: 120_000,
  queueMs: 60_000,
  drainMs: 30_000,
};
/** The operator's own: migrations, backups. */
const OPERATOR_MS = 3_600_000;

export interface FrontOptions {
  readonly host: string;
  readonly port: number;
  readonly folder: string;
  readonly identity: ServerIdentity;
  readonly passwords: Passwords;
  /** Whether enclave_user has to know its password. */
  readonly enclavePassword: boolean;
  readonly logger: Logger;
  readonly limits?: Partial<FrontLimits>;
}

const MAX_STARTUP_BYTES = 10_000;
const MAX_PASSWORD_BYTES = 2048;
export const DATABASE_NAME = 'trackseal';
/** One database under two names: tools ask for the second. */
const DATABASE_NAMES: ReadonlySet<string> = new Set([DATABASE_NAME, 'postgres']);
/** Of a start-up message, with what their values may be: they are said again at each turn. */
const SETTINGS: Readonly<Record<string, RegExp>> = {
  application_name: /^[\w .:/-]{0,63}$/u,
  datestyle: /^[\w, ]{1,32}$/u,
  timezone: /^[\w/+-]{1,64}$/u,
  extra_float_digits: /^-?\d{1,2}$/u,
  statement_timeout: /^\d{1,9}$/u,
  lock_timeout: /^\d{1,9}$/u,
  idle_in_transaction_session_timeout: /^\d{1,9}$/u,
};

export interface FrontCounters {
  readonly open: number;
  /** With the right password. */
  readonly admitted: number;
  readonly refused: number;
  /** For a turn at the engine. */
  readonly waiting: number;
  readonly engineLost: number;
}

class Refused extends Error {
  override readonly name = 'Refused';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export class DatabaseFront {
  readonly #options: FrontOptions;
  readonly #limits: FrontLimits;
  readonly #context: SecureContext;
  readonly #engine: Engine;
  readonly #turns = new Turns();
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<Promise<void>>();
  readonly #server: Server;
  #admitted = 0;
  #refused = 0;
  #engineLost = 0;

  private constructor(options: FrontOptions, limits: FrontLimits, engine: Engine) {
    this.#options = options;
    this.#limits = limits;
    this.#engine = engine;
    this.#context = createSecureContext({
      key: options.identity.keyPem,
      cert: options.identity.certificatePem,
      minVersion: 'TLSv1.3',
    });
    this.#server = createServer((socket) => {
      const session = this.#serve(socket).finally(() => {
        this.#sessions.delete(session);
      });
      this.#sessions.add(session);
    });
  }

  /** Throws EngineUnavailable, or the system's error for an address that is taken. */
  static async listen(options: FrontOptions): Promise<DatabaseFront> {
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const lost = { onLost: (): void => undefined };
    const engine = await Engine.open({
      folder: options.folder,
      maxResultBytes: limits.maxResultBytes,
      logger: options.logger,
      onLost: () => {
        lost.onLost();
      },
    });
    const front = new DatabaseFront(options, limits, engine);
    // Prepared statements and transactions of all are gone: clients come again.
    lost.onLost = (): void => {
      front.#engineLost++;
      for (const socket of front.#sockets) socket.end();
    };
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    front.#server.once('error', reject);
    front.#server.listen(options.port, options.host, () => {
      resolve(undefined);
    });
    try {
      await promise;
    } catch (error) {
      await engine.close();
      throw error;
    }
    return front;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  get counters(): FrontCounters {
    return {
      open: this.#sockets.size,
      admitted: this.#admitted,
      refused: this.#refused,
      waiting: this.#turns.waiting,
      engineLost: this.#engineLost,
    };
  }

  /** Ends connections, rolls back what is open, and writes everything out. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => {
      this.#server.close(resolve);
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    await Promise.all(this.#sessions);
    await this.#engine.close();
  }

  async #serve(socket: Socket): Promise<void> {
    socket.on('error', () => undefined);
    if (this.#sockets.size >= this.#limits.maxConnections) {
      this.#refused++;
      this.#options.logger.warn('database_refused', { code: 'too_many_connections' });
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
    });
    socket.setNoDelay(true);
    const deadline = setTimeout(() => socket.destroy(), this.#limits.startupMs);
    try {
      const secure = await this.#secure(socket);
      if (secure !== null) await this.#serveSecure(secure, deadline);
    } finally {
      clearTimeout(deadline);
      socket.destroy();
    }
  }

  /** Null: the client does not want TLS, or sent more than it may before it is there. */
  async #secure(socket: Socket): Promise<TLSSocket | null> {
    const reader = new MessageReader(socket);
    for (let asked = 0; asked < 2; asked++) {
      const first = await reader.startup(MAX_STARTUP_BYTES, null);
      if (typeof first === 'string') return null;
      // What comes before TLS could be another's words in the client's mouth (CVE-2021-23214).
      if (reader.buffered > 0) return null;
      if (first.code === SSL_REQUEST) {
        socket.removeAllListeners('readable');
        socket.write('S');
        const secure = new TLSSocket(socket, { isServer: true, secureContext: this.#context });
        secure.on('error', () => socket.destroy());
        return secure;
      }
      // There is nothing to cancel by: a statement that takes too long is ended anyway.
      if (first.code === CANCEL_REQUEST) return null;
      if (first.code !== GSS_REQUEST) {
        await finish(socket, encodeError('FATAL', '28000', 'this server speaks TLS only'));
        return null;
      }
      socket.write('N');
    }
    return null;
  }

  async #serveSecure(socket: TLSSocket, deadline: NodeJS.Timeout): Promise<void> {
    const reader = new MessageReader(socket);
    try {
      const { role, preamble } = await this.#admit(socket, reader, deadline);
      const isTrusted = role === 'postgres';
      const longer = {
        statementMs: OPERATOR_MS,
        transactionMs: OPERATOR_MS,
        idleTransactionMs: OPERATOR_MS,
      };
      const limits = { ...this.#limits, ...(isTrusted ? longer : {}) };
      const { turns, engine } = { turns: this.#turns, engine: this.#engine };
      await new Session({ socket, reader, engine, turns, limits, preamble, isTrusted }).run();
      await finish(socket, new Uint8Array(0));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#refused++;
      this.#options.logger.warn('database_refused', { code: error.code });
      await finish(socket, encodeError('FATAL', error.code, error.message));
    }
  }

  /** Throws Refused. */
  async #admit(
    socket: TLSSocket,
    reader: MessageReader,
    deadline: NodeJS.Timeout,
  ): Promise<{ readonly role: DatabaseRole; readonly preamble: string }> {
    const first = await reader.startup(MAX_STARTUP_BYTES, null);
    if (typeof first === 'string') throw new Refused('08P01', 'no start-up message');
    if (first.code >>> 16 !== PROTOCOL_3_0 >>> 16) {
      throw new Refused('0A000', 'this server speaks version 3 of the protocol');
    }
    const parameters = parseStartup(first.body);
    if (parameters === null) throw new Refused('08P01', 'a start-up message that is none');
    if (first.code !== PROTOCOL_3_0) {
      // NegotiateProtocolVersion: 3.0, and no option that is not known.
      socket.write(encodeMessage('v', Buffer.of(0, 3, 0, 0, 0, 0, 0, 0)));
    }
    const role = await this.#authenticate(socket, reader, parameters.get('user') ?? '');
    const preamble = preambleOf(role, parameters);
    // An engine that is being started again may take longer.
    clearTimeout(deadline);
    const version = await this.#engine.version().catch((error: unknown) => {
      if (!(error instanceof EngineUnavailable)) throw error;
      throw new Refused('57P03', 'the database engine does not start');
    });
    this.#admitted++;
    socket.write(Buffer.concat([encodeAuthentication(0), ...greeting(role, version)]));
    return { role, preamble };
  }

  async #authenticate(
    socket: TLSSocket,
    reader: MessageReader,
    user: string,
  ): Promise<DatabaseRole> {
    const { passwords, enclavePassword } = this.#options;
    if (user === 'enclave_user' && !enclavePassword) return user;
    const said = async (): Promise<Buffer> => {
      const answer = await reader.message(MAX_PASSWORD_BYTES, null);
      if (typeof answer === 'string' || answer.type !== 'p') {
        throw new Refused('08P01', 'no password');
      }
      return Buffer.from(answer.bytes.subarray(HEAD_BYTES));
    };
    socket.write(encodeAuthentication(SASL, Buffer.from(`${SCRAM}\0\0`)));
    const initial = await said();
    const head = Buffer.from(`${SCRAM}\0`);
    const isOurs = initial.subarray(0, head.length).equals(head);
    if (!isOurs || initial.length < head.length + 4) {
      throw new Refused('08P01', 'another way to authenticate than SCRAM-SHA-256');
    }
    // The same for a user that is not there.
    const password = isRole(user) ? passwords[user] : randomBytes(32).toString('hex');
    const first = initial.subarray(head.length + 4).toString('latin1');
    const question = answerScram(first, password);
    if (question === null) throw new Refused('08P01', 'a SCRAM message that is none');
    socket.write(encodeAuthentication(SASL_CONTINUE, Buffer.from(question.message)));
    const verified = question.verify((await said()).toString('latin1'));
    if (!isRole(user) || verified === null) {
      throw new Refused('28P01', 'password authentication failed');
    }
    socket.write(encodeAuthentication(SASL_FINAL, Buffer.from(verified)));
    return user;
  }
}

function preambleOf(role: DatabaseRole, parameters: ReadonlyMap<string, string>): string {
  const lines = [`SET SESSION AUTHORIZATION ${role}`];
  for (const [name, value] of parameters) {
    const setting = name.toLowerCase();
    if (setting === 'user') continue;
    if (setting === 'database') {
      if (DATABASE_NAMES.has(value)) continue;
      throw new Refused('3D000', `the only database here is ${DATABASE_NAME}`);
    }
    if (setting === 'client_encoding') {
      if (/^'?utf-?8'?$/iu.test(value)) continue;
      throw new Refused('22023', 'the only encoding here is UTF8');
    }
    const pattern = SETTINGS[setting];
    if (pattern === undefined) {
      throw new Refused('0A000', 'a start-up parameter that this server does not take');
    }
    if (!pattern.test(value)) throw new Refused('22023', `a value of ${setting}`);
    lines.push(`SET ${setting} = '${value}'`);
  }
  return lines.join('; ');
}

function greeting(role: DatabaseRole, version: string): readonly Buffer[] {
  const parameters = {
    server_version: version,
    server_encoding: 'UTF8',
    client_encoding: 'UTF8',
    DateStyle: 'ISO, MDY',
    IntervalStyle: 'postgres',
    TimeZone: 'UTC',
    integer_datetimes: 'on',
    standard_conforming_strings: 'on',
    is_superuser: role === 'postgres' ? 'on' : 'off',
    session_authorization: role,
  };
  const pairs = Object.entries(parameters).map(([name, value]) => encodeParameter(name, value));
  // BackendKeyData: of nobody, for there is nothing to cancel by.
  return [...pairs, encodeMessage('K', randomBytes(8)), encodeReady('I')];
}

/** Sends the last bytes and ends; who does not end after them is not waited for. */
async function finish(socket: Socket, bytes: Uint8Array): Promise<void> {
  if (socket.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => {
    resolve(undefined);
  }, 1000);
  socket.once('close', () => {
    resolve(undefined);
  });
  socket.end(bytes, () => {
    resolve(undefined);
  });
  await promise;
  clearTimeout(timer);
}
