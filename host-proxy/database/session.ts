// One client of the database after its start-up: collects what belongs together, waits for the engine, hands it over
// and the answers back. It has the engine from the first message of a transaction to its end and never longer
// than the limits allow; then what it has not committed is rolled back and the engine's session is emptied.

import type { Duplex } from 'node:stream';
import { EngineLost } from './engine.ts';
import type { Engine } from './engine.ts';
import type { MessageReader } from './message-reader.ts';
import {
  BackendSplitter,
  encodeError,
  encodeQuery,
  encodeReady,
  HEAD_BYTES,
  readCString,
  SYNC,
} from './protocol.ts';
import type { Message } from './protocol.ts';
import { checkText, PreparedStatements, readText, statementOf } from './statements.ts';
import type { StatementProblem } from './statements.ts';
import type { Turns } from './turns.ts';

export interface SessionLimits {
  /** Of one message, and of all up to a Sync. */
  readonly maxBatchBytes: number;
  readonly statementMs: number;
  /** Between two messages of a transaction. */
  readonly idleTransactionMs: number;
  readonly transactionMs: number;
  /** For the engine. */
  readonly queueMs: number;
  /** A client that does not read what it has asked for. */
  readonly drainMs: number;
}

export interface SessionOptions {
  readonly socket: Duplex;
  readonly reader: MessageReader;
  readonly engine: Engine;
  readonly turns: Turns;
  readonly limits: SessionLimits;
  /** Made of names that the front knows; said at the start of each turn. */
  readonly preamble: string;
  /** May say what would change the user: the operator. */
  readonly isTrusted: boolean;
}

/** What ends a session, with what it is told. */
class Fatal extends Error {
  override readonly name = 'Fatal';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** There is nobody to tell. */
class Gone extends Error {
  override readonly name = 'Gone';
}

interface Parse {
  readonly name: string;
  readonly bytes: Buffer;
  /** The client has sent it before and gets no answer to it. */
  readonly isAgain: boolean;
}

interface Batch {
  readonly bytes: Buffer[];
  /** In the order of the engine's ParseComplete messages. */
  readonly parses: Parse[];
  /** Closed, when the batch has been taken. */
  readonly closes: string[];
  readonly end: 'sync' | 'flush' | 'terminate';
}

const EXTENDED = new Set(['P', 'B', 'D', 'E', 'C']);

export class Session {
  readonly #options: SessionOptions;
  readonly #statements = new PreparedStatements();
  #hasTurn = false;
  #turnSinceMs = 0;
  /** Of the engine's last ReadyForQuery; null while a batch is open. */
  #status: string | null = 'I';

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Until the client goes or is sent away. Never rejects but for bugs. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const batch = await this.#collect();
        if (batch === null) continue;
        if (batch.end === 'terminate') return;
        await this.#perform(batch);
      }
    } catch (error) {
      this.#tell(error);
    } finally {
      await this.#giveBack();
    }
  }

  #tell(error: unknown): void {
    const { socket } = this.#options;
    if (error instanceof Fatal) socket.write(encodeError('FATAL', error.code, error.message));
    else if (error instanceof EngineLost) {
      socket.write(encodeError('FATAL', '57P02', 'the database engine was started again'));
    } else if (!(error instanceof Gone)) throw error;
  }

  /** Null where a message was answered with an error and all up to the next Sync left out. */
  async #collect(): Promise<Batch | null> {
    const { maxBatchBytes } = this.#options.limits;
    const batch = { bytes: [] as Buffer[], parses: [] as Batch['parses'], closes: [] as string[] };
    let size = 0;
    for (;;) {
      const message = await this.#next(maxBatchBytes - size, batch.bytes.length > 0);
      size += message.bytes.length;
      if (message.type === 'X') return { ...batch, end: 'terminate' };
      if (message.type === 'S' || message.type === 'H') {
        batch.bytes.push(message.bytes);
        return { ...batch, end: message.type === 'S' ? 'sync' : 'flush' };
      }
      const problem = this.#check(message);
      if (problem !== null) {
        await this.#refuse(message, problem);
        return null;
      }
      this.#prepare(message, batch);
      batch.bytes.push(message.bytes);
      if (message.type === 'Q') return { ...batch, end: 'sync' };
    }
  }

  async #next(maxBytes: number, isBegun: boolean): Promise<Message> {
    const { reader, limits } = this.#options;
    // A client that has nothing may take its time; one that has the engine, or has begun to say something, not.
    const timeoutMs = this.#hasTurn || isBegun ? limits.idleTransactionMs : null;
    const message = await reader.message(maxBytes, timeoutMs);
    if (message === 'ended') throw new Gone();
    if (message === 'timeout') throw new Fatal('25P03', 'idle in a transaction for too long');
    if (message === 'too_large') throw new Fatal('54000', 'more at once than this server takes');
    const isKnown = EXTENDED.has(message.type) || ['Q', 'S', 'H', 'X'].includes(message.type);
    if (!isKnown) throw new Fatal('08P01', 'a message that this server does not take');
    return message;
  }

  #check(message: Message): StatementProblem | null {
    if (message.type !== 'Q' && message.type !== 'P') return null;
    const text = readText(message);
    if (text === null) throw new Fatal('08P01', 'a statement that does not end');
    if (!this.#statements.hasRoom(text.name, message.bytes.length)) {
      return { code: '53000', message: 'too many prepared statements' };
    }
    return this.#options.isTrusted ? null : checkText(text.sql);
  }

  #prepare(message: Message, batch: Pick<Batch, 'bytes' | 'parses' | 'closes'>): void {
    if (message.type === 'Q' || message.type === 'E') return;
    const name =
      message.type === 'P' ? readCString(message.bytes, HEAD_BYTES) : statementOf(message);
    if (name === null) return;
    // Only the first use in a batch: after it the engine has it.
    const isUsed = batch.parses.some((one) => one.name === name) || batch.closes.includes(name);
    const again = isUsed ? null : this.#statements.before(name);
    if (again !== null && message.type !== 'C') {
      batch.bytes.push(again);
      batch.parses.push({ name, bytes: again, isAgain: true });
    }
    if (message.type === 'P') batch.parses.push({ name, bytes: message.bytes, isAgain: false });
    if (message.type === 'C') batch.closes.push(name);
  }

  /** An error, and nothing up to the next Sync, as the protocol wants it. */
  async #refuse(message: Message, { code, message: text }: StatementProblem): Promise<void> {
    const { socket, limits } = this.#options;
    if (message.type !== 'Q') {
      for (;;) {
        const next = await this.#next(limits.maxBatchBytes, true);
        if (next.type === 'X') throw new Gone();
        if (next.type === 'S') break;
      }
    }
    if (this.#hasTurn) await this.#exchange([SYNC, encodeQuery('ROLLBACK')], () => undefined);
    await this.#giveBack();
    socket.write(encodeError('ERROR', code, text));
    socket.write(encodeReady('I'));
  }

  async #perform(batch: Batch): Promise<void> {
    const { socket } = this.#options;
    if (!this.#hasTurn) await this.#takeTurn();
    const { limits } = this.#options;
    if (performance.now() - this.#turnSinceMs > limits.transactionMs) {
      throw new Fatal('25P04', 'the transaction takes too long');
    }
    let parsed = 0;
    if (batch.end === 'flush') this.#status = null;
    await this.#exchange(batch.bytes, (message) => {
      if (message.type === '1') {
        const parse = batch.parses[parsed++];
        if (parse !== undefined) this.#statements.prepared(parse.name, parse.bytes);
        if (parse?.isAgain === true) return;
      }
      if (!socket.destroyed) socket.write(message.bytes);
    });
    for (const name of batch.closes) this.#statements.closed(name);
    if (this.#status === 'I') await this.#giveBack();
    await this.#drain();
  }

  async #takeTurn(): Promise<void> {
    const { turns, limits, preamble } = this.#options;
    if (!(await turns.take(limits.queueMs))) {
      throw new Fatal('53300', 'the database was busy for too long');
    }
    this.#hasTurn = true;
    this.#turnSinceMs = performance.now();
    let failed = false;
    await this.#exchange([encodeQuery(preamble)], ({ type }) => {
      failed ||= type === 'E';
    });
    if (failed) throw new Fatal('28000', 'the role is not there: the database is not migrated');
  }

  async #exchange(bytes: readonly Buffer[], onMessage: (message: Message) => void): Promise<void> {
    const { engine, limits } = this.#options;
    const splitter = new BackendSplitter();
    const overflow = await engine.exchange(Buffer.concat(bytes), limits.statementMs, (data) => {
      for (const message of splitter.push(data)) {
        if (message.type === 'Z') this.#status = message.bytes.toString('latin1', HEAD_BYTES);
        onMessage(message);
      }
    });
    if (overflow) {
      this.#status = null;
      throw new Fatal('54000', 'the result is larger than this server hands out: ask for less');
    }
  }

  /** Whatever was open is rolled back, and nothing stays in the engine's session. */
  async #giveBack(): Promise<void> {
    if (!this.#hasTurn) return;
    const { turns } = this.#options;
    try {
      const open = this.#status === 'I' ? [] : [SYNC, encodeQuery('ROLLBACK')];
      await this.#exchange([...open, encodeQuery('DISCARD ALL')], () => undefined);
    } catch (error) {
      if (!(error instanceof EngineLost)) throw error;
    } finally {
      this.#hasTurn = false;
      this.#status = 'I';
      this.#statements.forget();
      turns.give();
    }
  }

  async #drain(): Promise<void> {
    const { socket, limits } = this.#options;
    if (!socket.writableNeedDrain) return;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => {
      resolve(false);
    }, limits.drainMs);
    const done = (): void => {
      resolve(true);
    };
    socket.once('drain', done);
    socket.once('close', done);
    const drained = await promise;
    clearTimeout(timer);
    socket.off('drain', done);
    socket.off('close', done);
    if (!drained || socket.destroyed) throw new Gone();
  }
}
