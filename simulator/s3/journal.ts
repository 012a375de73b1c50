// The simulator's state on disk: one JSON line per change, bodies inside as base64. For development only: it is
// neither fast nor durable, and says so nowhere else because nobody should rely on it.

import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { S3State } from './state.ts';
import type { StateEvent } from './state.ts';

interface Encoded {
  readonly base64: string;
}

function encode(_name: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value;
}

function decode(name: string, value: unknown): unknown {
  return name === 'body' ? new Uint8Array(Buffer.from((value as Encoded).base64, 'base64')) : value;
}

/** State as the journal in this folder says, made when it is not there. */
export function openState(folder: string): S3State {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'journal.jsonl');
  const state = new S3State((event) => {
    // Buffers have a toJSON of their own, which JSON.stringify would take first.
    const plain = event.type === 'version' ? withPlainBody(event) : event;
    appendFileSync(path, `${JSON.stringify(plain, encode)}\n`, { mode: 0o600 });
  });
  if (!existsSync(path)) return state;
  const lines = readFileSync(path, 'utf8').split('\n');
  // The last line is empty, or torn.
  for (const line of lines.slice(0, -1)) state.replay(JSON.parse(line, decode) as StateEvent);
  return state;
}

function withPlainBody(event: StateEvent & { readonly type: 'version' }): StateEvent {
  const { version } = event;
  return { ...event, version: { ...version, body: new Uint8Array(version.body) } };
}
