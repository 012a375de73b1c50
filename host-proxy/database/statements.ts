// What a client may say to the shared engine, and its prepared statements, which outlive its turns. The engine has
// one session for all; between two turns it is emptied (DISCARD ALL), and a statement that a client prepared is
// prepared again, from the bytes it sent, when it is used in a later turn. So no client meets another's.

import { HEAD_BYTES, readCString } from './protocol.ts';
import type { Message } from './protocol.ts';

const MAX_PREPARED = 256;
const MAX_PREPARED_BYTES = 1024 * 1024;

/**
 * `authorization`: in `SET SESSION AUTHORIZATION` and `session_authorization` it would make a superuser of anybody;
 * identifiers with escapes would say it otherwise; after COPY FROM STDIN the engine would wait for what never
 * comes. In a literal they are refused as well: values belong into parameters. What needs no words is closed in
 * the engine itself (engine-process.ts).
 */
const REFUSED = /authorization|\bu&\s*"|\bstdin\b/iu;

export interface StatementProblem {
  readonly code: string;
  readonly message: string;
}

/** Null: the engine may have it. */
export function checkText(sql: string): StatementProblem | null {
  const found = REFUSED.exec(sql);
  if (found === null) return null;
  const message = `this server refuses statements with ${JSON.stringify(found[0].toLowerCase())}`;
  return { code: '42501', message };
}

export class PreparedStatements {
  readonly #kept = new Map<string, Buffer>();
  readonly #live = new Set<string>();
  #bytes = 0;

  /** The engine has none of them any more. */
  forget(): void {
    this.#live.clear();
  }

  /** What has to be sent before a message that uses `name`. */
  before(name: string): Buffer | null {
    const kept = this.#kept.get(name);
    if (kept === undefined || this.#live.has(name)) return null;
    return kept;
  }

  /** The engine has prepared it. */
  prepared(name: string, bytes: Buffer): void {
    this.#live.add(name);
    if (name === '' || this.#kept.has(name)) return;
    this.#kept.set(name, Buffer.from(bytes));
    this.#bytes += bytes.length;
  }

  closed(name: string): void {
    this.#live.delete(name);
    this.#bytes -= this.#kept.get(name)?.length ?? 0;
    this.#kept.delete(name);
  }

  /** Whether another one of this size may be kept. */
  hasRoom(name: string, bytes: number): boolean {
    if (name === '' || this.#kept.has(name)) return true;
    return this.#kept.size < MAX_PREPARED && this.#bytes + bytes <= MAX_PREPARED_BYTES;
  }
}

export interface ParsedText {
  /** Of a prepared statement; '' for the unnamed one and for a simple query. */
  readonly name: string;
  readonly sql: string;
}

/** Of a Query or Parse message; null where it has none. */
export function readText({ type, bytes }: Message): ParsedText | null {
  if (type === 'Q') {
    const sql = readCString(bytes, HEAD_BYTES);
    return sql === null ? null : { name: '', sql };
  }
  const name = readCString(bytes, HEAD_BYTES);
  if (name === null) return null;
  const sql = readCString(bytes, HEAD_BYTES + Buffer.byteLength(name) + 1);
  return sql === null ? null : { name, sql };
}

/** The prepared statement that a Bind, Describe or Close is about; null for none, or a portal. */
export function statementOf({ type, bytes }: Message): string | null {
  if (type === 'B') {
    const portal = readCString(bytes, HEAD_BYTES);
    return portal === null ? null : readCString(bytes, HEAD_BYTES + Buffer.byteLength(portal) + 1);
  }
  // 'S' in the body says that it is a statement and no portal.
  return bytes[HEAD_BYTES] === 0x53 ? readCString(bytes, HEAD_BYTES + 1) : null;
}
