// A client of the database that says exactly the bytes it is told, for what no library would send.

import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  BackendSplitter,
  cString,
  encodeMessage,
  PROTOCOL_3_0,
  SSL_REQUEST,
} from '../../../host-proxy/database/protocol.ts';
import type { Message } from '../../../host-proxy/database/protocol.ts';

export function first(code: number, body: Uint8Array = new Uint8Array(0)): Buffer {
  const bytes = Buffer.alloc(8 + body.length);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.writeUInt32BE(code, 4);
  bytes.set(body, 8);
  return bytes;
}

export function startup(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).flat().map(cString);
  return first(PROTOCOL_3_0, Buffer.concat([...pairs, Buffer.of(0)]));
}

export function parse(name: string, sql: string): Buffer {
  return encodeMessage('P', Buffer.concat([cString(name), cString(sql), Buffer.of(0, 0)]));
}

export function bind(name: string): Buffer {
  return encodeMessage('B', Buffer.concat([cString(''), cString(name), Buffer.alloc(6)]));
}

export function execute(): Buffer {
  return encodeMessage('E', Buffer.concat([cString(''), Buffer.alloc(4)]));
}

export const FLUSH: Buffer = encodeMessage('H', new Uint8Array(0));

/** Of an ErrorResponse: the SQLSTATE. */
export function stateOf({ bytes }: Message): string {
  return /\0C([0-9A-Z]{5})\0/u.exec(bytes.toString('latin1'))?.[1] ?? '';
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export class RawClient {
  readonly socket: Socket;
  readonly #splitter = new BackendSplitter();
  readonly #messages: Message[] = [];
  #isOver = false;
  #wake: (() => void) | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    const wake = (): void => {
      this.#wake?.();
    };
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.#messages.push(...this.#splitter.push(chunk));
      wake();
    });
    socket.on('close', () => {
      this.#isOver = true;
      wake();
    });
  }

  /** Without TLS. */
  static async plain(port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  }

  static async secure(port: number, ca: string): Promise<RawClient> {
    const socket = await RawClient.plain(port);
    socket.write(first(SSL_REQUEST));
    await once(socket, 'readable');
    socket.read();
    const secure = connectTls({ socket, ca, servername: 'localhost' });
    secure.on('error', () => undefined);
    await once(secure, 'secureConnect');
    return new RawClient(secure);
  }

  static async login(port: number, ca: string, user: string, password: string): Promise<RawClient> {
    const client = await RawClient.secure(port, ca);
    client.send(startup({ user, database: 'postgres' }));
    await client.next();
    await client.authenticate(password);
    await client.until('Z');
    return client;
  }

  /** SCRAM-SHA-256 (RFC 7677), behind the server's offer; whether it was let in is for who asks to see. */
  async authenticate(password: string): Promise<void> {
    const bare = 'n=*,r=a-nonce-of-the-client';
    const initial = Buffer.from(`n,,${bare}`);
    const length = Buffer.alloc(4);
    length.writeInt32BE(initial.length);
    this.send(encodeMessage('p', Buffer.concat([cString('SCRAM-SHA-256'), length, initial])));
    const asked = (await this.next())?.bytes.subarray(9).toString('latin1') ?? '';
    const [, nonce = '', salt = '', count = ''] =
      /^r=([^,]*),s=([^,]*),i=(\d+)$/u.exec(asked) ?? [];
    const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(count), 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const unsigned = `c=biws,r=${nonce}`;
    const told = `${bare},${asked},${unsigned}`;
    const signature = hmac(createHash('sha256').update(clientKey).digest(), told);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
    this.send(encodeMessage('p', Buffer.from(`${unsigned},p=${proof.toString('base64')}`)));
  }

  send(...messages: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(messages));
  }

  /** Null at the end. */
  async next(): Promise<Message | null> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#isOver) return null;
      const { promise, resolve } = Promise.withResolvers<undefined>();
      this.#wake = (): void => {
        resolve(undefined);
      };
      await promise;
    }
  }

  /** All up to one of this type, or to the end. */
  async until(type: string): Promise<readonly Message[]> {
    const all: Message[] = [];
    for (;;) {
      const message = await this.next();
      if (message === null) return all;
      all.push(message);
      if (message.type === type) return all;
    }
  }

  /** The SQLSTATE of what ends the connection; '' without a word. */
  async lastWords(): Promise<string> {
    let state = '';
    for (let one = await this.next(); one !== null; one = await this.next()) {
      if (one.type === 'E') state = stateOf(one);
    }
    return state;
  }
}
