// A PostgreSQL server for tests: PGlite behind TLS on in-memory streams, with the tables of the track record. Tests can look at
// the rows, change them as a hostile database would, answer with bytes of their own, and cut connections.

import type { Duplex } from 'node:stream';
import { duplexPair } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { PGlite } from '@electric-sql/pglite';
import { MIGRATIONS_FOLDER, readMigrations } from '../../host-proxy/database/migrations.ts';

export interface ServerKeys {
  readonly certificate: string;
  readonly privateKey: string;
}

/** i32 length and the rest of it, once it is all there. */
function takeMessage(bytes: Buffer, hasType: boolean): number | null {
  const at = hasType ? 1 : 0;
  if (bytes.length < at + 4) return null;
  const length = at + bytes.readInt32BE(at);
  return bytes.length < length ? null : length;
}

export class PgliteServer {
  readonly db: PGlite;
  readonly #keys: ServerKeys;
  readonly #sockets = new Set<Duplex>();
  #turn: Promise<void> = Promise.resolve();
  /** Changes what the server answers. */
  answer: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes;

  private constructor(db: PGlite, keys: ServerKeys) {
    this.db = db;
    this.#keys = keys;
  }

  static async open(keys: ServerKeys): Promise<PgliteServer> {
    const db = new PGlite();
    await db.exec('CREATE SCHEMA trackseal; CREATE TABLE trackseal.migrations (number INTEGER)');
    for (const { sql } of await readMigrations(MIGRATIONS_FOLDER)) await db.exec(sql);
    return new PgliteServer(db, keys);
  }

  /** The client's end of a new connection. */
  connect(): Duplex {
    const [client, server] = duplexPair();
    server.on('error', () => undefined);
    server.once('data', () => {
      server.pause();
      server.write('S');
      const socket = new TLSSocket(server, {
        isServer: true,
        cert: this.#keys.certificate,
        key: this.#keys.privateKey,
      });
      socket.on('error', () => undefined);
      this.#sockets.add(client);
      this.#serve(socket);
    });
    return client;
  }

  /** All connections break. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  async close(): Promise<void> {
    this.cut();
    await this.#turn;
    await this.db.close();
  }

  #serve(socket: TLSSocket): void {
    // PGlite has one session: what a lost client began is rolled back, as a server would.
    this.#turn = this.#turn.then(async () => {
      await this.db.exec('ROLLBACK');
    });
    let waiting: Buffer = Buffer.alloc(0);
    let isStarted = false;
    socket.on('data', (bytes: Buffer) => {
      waiting = Buffer.concat([waiting, bytes]);
      for (;;) {
        const length = takeMessage(waiting, isStarted);
        if (length === null) return;
        const message = Uint8Array.from(waiting.subarray(0, length));
        waiting = waiting.subarray(length);
        isStarted = true;
        this.#turn = this.#turn.then(() => this.#execute(socket, message));
      }
    });
  }

  async #execute(socket: TLSSocket, message: Uint8Array): Promise<void> {
    if (socket.destroyed || message[0] === 0x58) return;
    const answer = await this.db.execProtocolRaw(message);
    if (!socket.destroyed) socket.write(this.answer(answer));
  }
}
